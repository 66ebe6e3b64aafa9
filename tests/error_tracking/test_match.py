"""Which issue is a flaky test's: proven, or none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.error_tracking.match import belonging, belongs, masked
from tests.error_tracking.build import an_issue, flaky

NOWHERE: dict[str, Any] = {"source_file": None}
MUTE: dict[str, Any] = {"error_message": None}
HERE: dict[str, Any] = {"file_path": "/app/tests/test_shop.py", "function_name": "test_pay"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no answer in 5 s", "no answer in 31.5 s"),
        ("user 87cb11a0-278c-440a-99fe-701223c80296", "user C1726A66-1f64-11ee-b338-da7ad0900002"),
        ("at 0x7f3a", "at 0xFFFF01"),
        ("commit a1b2c3d4e5", "commit 99aabbccdd"),
        ("request req_8f3Kd92LmQ failed", "request req_1a2Bc34DeF failed"),
        ("12:30:01 late\n  again", "07:05:59  late again "),
    ],
)
def test_numbers_and_ids_are_masked(one: str, other: str) -> None:
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("cannot pay", "cannot ship"), ("no answer", "no answers"), ("a b", "b a"), ("x 5 y", "x y")],
)
def test_words_are_not(one: str, other: str) -> None:
    assert masked(one) != masked(other)


@pytest.mark.parametrize(
    ("test", "issue"),
    [
        ({}, {}),
        ({"error_message": "socket.TimeoutError: no answer in 7 s"}, {}),
        ({}, {"error_type": "java.net.TimeoutError"}),
        ({"error_message": "no answer for 7 s"}, {"error_message": "no answer for 1 s"}),
        ({"services": ("web", "Shop")}, {"service": "shop"}),
        ({"error_message": "TimeoutError: no answer in 7 s\n"}, {}),
        ({"error_message": "KeyError: 'a'"}, {"error_type": "KeyError", "error_message": "'a'"}),
    ],
)
def test_the_same_error_is_proof(test: dict[str, Any], issue: dict[str, Any]) -> None:
    assert belongs(flaky(**NOWHERE | test), an_issue(**issue)) == "service and error"


@pytest.mark.parametrize(
    ("test", "issue"),
    [
        ({}, HERE),
        ({}, {**HERE, "file_path": "tests\\test_shop.py"}),
        ({}, {**HERE, "file_path": "test_shop.py"}),
        ({"name": "test_pay[eu-west]"}, HERE),
        ({}, {**HERE, "function_name": "TestShop.test_pay"}),
        ({"name": "test_pay()"}, HERE),
    ],
)
def test_the_same_place_is_proof(test: dict[str, Any], issue: dict[str, Any]) -> None:
    assert belongs(flaky(**MUTE | test), an_issue(**issue)) == "service, file and function"


@pytest.mark.parametrize(
    ("test", "issue"),
    [
        ({"services": ("web",)}, HERE),
        ({"services": ()}, HERE),
        ({"services": None}, HERE),
        ({"services": ("",)}, {**HERE, "service": ""}),
        ({}, {"service": ""}),
        ({}, {"error_type": "ValueError"}),
        ({}, {"error_type": ""}),
        ({}, {"error_message": "no reply in 5 s"}),
        ({}, {"error_message": ""}),
        ({"error_message": ""}, {}),
        ({"error_message": "timeout 5"}, {"error_message": "timeout 6"}),
        ({"error_message": "5"}, {"error_message": "6"}),
        ({**MUTE, **NOWHERE}, HERE),
        (MUTE, {**HERE, "function_name": "test_pay_later"}),
        (MUTE, {**HERE, "function_name": ""}),
        (MUTE, {**HERE, "file_path": "tests/other/test_shop.py"}),
        (MUTE, {**HERE, "file_path": "my_test_shop.py"}),
        (MUTE, {**HERE, "file_path": ""}),
        (MUTE, {**HERE, "file_path": "/"}),
        ({**MUTE, "name": ""}, {**HERE, "function_name": ""}),
        ({**MUTE, "name": "[a]"}, {**HERE, "function_name": "."}),
    ],
)
def test_anything_less_is_none(test: dict[str, Any], issue: dict[str, Any]) -> None:
    assert belongs(flaky(**test), an_issue(**issue)) is None


def test_all_that_belong_are_told() -> None:
    issues = [an_issue("1"), an_issue("2", service="web"), an_issue("3", **HERE)]
    assert [(issue.id[-1], by) for issue, by in belonging(flaky(), issues)] == [
        ("1", "service and error"),
        ("3", "service and error"),
    ]


@given(st.text(), st.text(), st.text(), st.text())
def test_any_texts_are_taken(message: str, name: str, kind: str, path: str) -> None:
    test = flaky(name=name, error_message=message, source_file=path)
    issue = an_issue(error_type=kind, error_message=message, file_path=path, function_name=name)
    assert belongs(test, issue) in {None, "service and error", "service, file and function"}
    assert belongs(test, an_issue(service="other")) is None


def test_masking_long_messages_is_quick() -> None:
    assert masked("1" * 100_000) == "#"
    assert len(masked("a1-" * 50_000)) <= 150_000
    assert masked("a" * 100_000) == "a" * 100_000
