"""`flakegate set`: many tests at once, or none."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from flakegate.cli.select import select_all
from flakegate.errors import UsageError
from tests.cli.reports import junit, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller, Done

TESTS = [f"test_{letter}" for letter in "abcde"]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What the process reads from its standard input."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    return data


def states(flakegate: Caller) -> dict[str, str]:
    tests = json.loads(flakegate("list", "--format", "json").out)["tests"]
    return {test["name"]: test["state"] for test in tests}


def test_names_from_standard_input(flakegate: Caller, folder: Path, stdin: io.BytesIO) -> None:
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    stdin.write(b"tests.test_cart.test_a\r\n\n  test_b  \ntest_b\ntests.test_cart.test_c")
    stdin.seek(0)
    done = flakegate("set", "-", "test_d", "disabled", "--reason", "rewrite")
    assert done.code == 0, done.err
    assert states(flakegate) == dict.fromkeys(TESTS[:4], "disabled")


def test_nothing_changes_if_one_name_is_wrong(
    flakegate: Caller, folder: Path, stdin: io.BytesIO
) -> None:
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    stdin.write(b"test_b\ntest_x\n\xff\n")
    stdin.seek(0)
    done = flakegate("set", "test_a", "-", "test_", "disabled", "--reason", "rewrite")
    assert done.code == 2
    for says in ("no test is called 'test_x'", "5 tests match 'test_'", "'\ufffd'"):
        assert says in done.err
    assert states(flakegate) == {}


def test_standard_input_without_a_name(flakegate: Caller, stdin: io.BytesIO) -> None:
    assert stdin.tell() == 0
    done = flakegate("set", "-", "disabled", "--reason", "rewrite")
    assert done.code == 2
    assert "standard input names no test" in done.err


def test_what_needs_no_change_is_said(flakegate: Caller, folder: Path) -> None:
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    flakegate("set", "test_a", "disabled", "--reason", "x")
    done = flakegate("set", "test_a", "test_b", "disabled", "--reason", "x", "--format", "json")
    assert [each["fqn"] for each in json.loads(done.out)["applied"]["done"]] == [
        "tests.test_cart.test_b"
    ]
    assert "test_a is disabled already" in done.err


def test_select_all_names_each_once_and_tells_of_every_wrong_one() -> None:
    names = {"1": "a.b", "2": "a.bc", "3": "A.D"}
    assert select_all(["a.b", "1", "d", "bc"], names) == ("1", "3", "2")
    assert select_all(["b"], names) == ("1",), "a whole name, not the beginning of one"
    with pytest.raises(UsageError) as error:
        select_all(["a", *(f"x{n}" for n in range(20)), "a.b"], names)
    assert error.value.message.startswith("3 tests match 'a'\n  1  a.b\n")
    assert "no test is called 'x8'" in error.value.message
    assert error.value.message.endswith("and 11 more names are not those of one test")


# For a time

POLICY = "version: 1\nrespect_manual: 0\nrules: [{id: noisy, to: quarantined, when: runs > 99}]\n"
DATE = "2026-12-24"  # the clock of these tests says 20 November 2026, noon
DURING, AFTER = "2026-12-24T23:59:59Z", "2026-12-25T00:00:00Z"


@pytest.fixture
def shop(folder: Path, flakegate: Caller) -> Caller:
    write(folder, "flakegate.yml", POLICY)
    write(folder, "fails.xml", junit("-test_a", "test_b"))
    flakegate("record", write(folder, "r.xml", junit(*TESTS)))
    return flakegate


def put(flakegate: Caller, state: str, *more: str, **env: str) -> Done:
    return flakegate("set", "test_a", state, "--reason", "rewrite", *more, **{"USER": "dana"} | env)


def listed(flakegate: Caller, **env: str) -> dict[str, object]:
    (test,) = json.loads(flakegate("list", "--format", "json", **env).out)["tests"]
    return {name: test[name] for name in ("state", "actor", "reason", "until")}


def test_it_holds_to_the_end_of_its_last_day(shop: Caller) -> None:
    done = put(shop, "quarantined", "--until", DATE)
    assert done.code == 0, done.err
    assert "dana, until 2026-12-24: rewrite" in done.out
    assert listed(shop) == {
        "state": "quarantined", "actor": "dana", "reason": "rewrite", "until": DATE,
    }  # fmt: skip
    gate = shop("gate", "fails.xml", FLAKEGATE_TIME=DURING)
    assert gate.code == 0, gate.out
    assert "until 24 Dec" in gate.out
    assert "until" in shop("list").out
    over = shop("gate", "fails.xml", FLAKEGATE_TIME=AFTER)
    assert over.code == 1
    assert "by dana until 2026-12-24, which is over" in over.out
    assert "takes a new one" in over.out
    assert not json.loads(shop("plan", "--format", "json", FLAKEGATE_TIME=DURING).out)[
        "transitions"
    ]


def test_then_the_policy_ends_it(shop: Caller, folder: Path) -> None:
    put(shop, "quarantined", "--until", DATE)
    plan = shop("plan", "--out", "plan.json", FLAKEGATE_TIME=AFTER)
    assert "expiry: set until 2026-12-24 by dana, which is over" in plan.out
    told = shop("explain", "test_a", FLAKEGATE_TIME=AFTER).out
    for says in ("by dana, until 2026-12-24", "(expired)", "moves it to active: set until"):
        assert says in told
    done = shop("apply", "plan.json", FLAKEGATE_TIME=AFTER)
    assert done.code == 0, done.out
    assert listed(shop, FLAKEGATE_TIME=AFTER) == {
        "state": "active",
        "actor": "expiry",
        "reason": "set until 2026-12-24 by dana, which is over",
        "until": None,
    }
    again = shop("apply", "--format", "json", FLAKEGATE_TIME=AFTER)
    assert json.loads(again.out)["plan"]["transitions"] == []
    assert (folder / "plan.json").exists()


def test_a_disabled_test_goes_back_into_quarantine(shop: Caller) -> None:
    put(shop, "quarantined")
    put(shop, "disabled", "--until", DATE)
    assert shop("gate", "fails.xml", FLAKEGATE_TIME=AFTER).code == 1
    assert json.loads(shop("list", "--state", "active", "--format", "json").out)["tests"] == []
    assert shop("apply", FLAKEGATE_TIME=AFTER).code == 0
    assert listed(shop)["state"] == "quarantined"
    assert shop("gate", "fails.xml", FLAKEGATE_TIME=AFTER).code == 0


def test_a_date_can_be_set_moved_and_removed(shop: Caller) -> None:
    put(shop, "quarantined")
    assert put(shop, "quarantined", "--until", DATE).code == 0
    assert listed(shop)["until"] == DATE
    assert "is quarantined already" in put(shop, "quarantined", "--until", DATE).out
    put(shop, "quarantined", "--until", "2027-01-31")
    assert listed(shop)["until"] == "2027-01-31"
    assert shop("gate", "fails.xml", FLAKEGATE_TIME=AFTER).code == 0
    put(shop, "quarantined")
    assert listed(shop)["until"] is None
    assert shop("gate", "fails.xml", FLAKEGATE_TIME="2027-06-01T00:00:00Z").code == 0


def test_moving_the_date_leaves_the_age_of_the_state(shop: Caller) -> None:
    put(shop, "quarantined", "--until", DATE)
    put(shop, "quarantined", "--until", "2027-01-31", FLAKEGATE_TIME=DURING)
    (test,) = json.loads(shop("list", "--format", "json", FLAKEGATE_TIME=DURING).out)["tests"]
    assert test["state_since"] == "2026-11-20T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-11-19", "is over: today is 2026-11-20"),
        ("2026-02-30", "not a day"),
        ("24.12.2026", "not a day"),
        ("20261224", "not a day"),
        ("2026-W52-4", "not a day"),
        ("٢٠٢٦-١٢-٢٤", "not a day"),
        ("9999-12-31", "not a day"),
        ("", "not a day"),
    ],
)
def test_no_day_and_a_past_one(shop: Caller, text: str, says: str) -> None:
    done = put(shop, "quarantined", "--until", text)
    assert done.code == 2
    assert says in done.err
    assert "tip:" in done.err
    assert states(shop) == {}


def test_today_is_a_day_to_come(shop: Caller) -> None:
    assert put(shop, "quarantined", "--until", "2026-11-20").code == 0
    assert shop("gate", "fails.xml", FLAKEGATE_TIME="2026-11-20T23:59:59Z").code == 0
    assert shop("gate", "fails.xml", FLAKEGATE_TIME="2026-11-21T00:00:00Z").code == 1
