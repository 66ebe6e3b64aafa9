"""The inputs of the action and the component, as arguments of flakegate."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.errors import UsageError
from flakegate.hosted import PREFIX, Inputs, artifact_name, call, inputs, leg


def of(**values: str) -> Inputs:
    return inputs({f"{PREFIX}{name.upper()}": value for name, value in values.items()})


def test_what_is_not_given_is_not_said() -> None:
    assert call(of()) == ("run",)
    assert call(of(mode="gate", reports="a.xml")) == ("gate", "--", "a.xml")


def test_each_input_is_one_argument_whatever_it_holds() -> None:
    given = of(
        reports="\n a b.xml \n\n$(x)\n-v\n",
        test_outcome="failure",
        base_dir="a b",
        comment_key="x; y",
        apply="false",
        args="--strict '-v w' \n x",
    )
    assert call(given) == (
        "run", "--test-outcome", "failure", "--base-dir", "a b", "--comment-key", "x; y",
        "--no-apply", "--strict", "-v w", "x", "--", "a b.xml", "$(x)", "-v",
    )  # fmt: skip


def test_another_command_takes_what_it_has_a_use_for() -> None:
    given = of(
        mode="run", reports="a", base_dir="b", apply="true", args="-v", test_outcome="failure"
    )
    assert call(given, "--shard-out", "s", of="record") == (
        "record", "--base-dir", "b", "--shard-out", "s", "--", "a",
    )  # fmt: skip
    collect = of(mode="collect", policy="p.yml", apply="true", summary="s.md", args="--dry-run")
    assert call(collect, "--artifacts") == (
        "collect", "--policy", "p.yml", "--artifacts", "--dry-run",
    )  # fmt: skip
    assert call(collect, of="run") == ("run", "--policy", "p.yml", "--summary", "s.md", "--apply")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mode": "gaet"}, "the input mode is 'gaet'"),
        ({"apply": "yes"}, "the input apply is 'yes'"),
        (
            {"mode": "plan", "reports": "a", "apply": "true"},
            "no use for the input reports and apply",
        ),
        ({"mode": "gate"}, "mode gate needs the input reports"),
        ({"mode": "record", "reports": " \n "}, "mode record needs the input reports"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        of(**values)


def test_args_with_a_quote_left_open() -> None:
    with pytest.raises(UsageError, match="No closing quotation"):
        call(of(args="--policy 'a"))


@pytest.mark.parametrize(
    ("shard", "expected"),
    [
        ("", ""),
        ("null", ""),
        ("{}", ""),
        ("unit", "unit"),
        ("2", "2"),
        ('{"os": "linux", "python": "3.11"}', "linux,3.11"),
        ('{"python": "3.11", "os": "linux"}', "linux,3.11"),
        ('{"n": 3.1, "fast": true}', "true,3.1"),
        ('{"x": {"b": 1, "a": 2}}', '{"x": {"a": 2, "b": 1}}'),
        ("{not json", "{not json"),
    ],
)
def test_legs(shard: str, expected: str) -> None:
    assert leg(shard) == expected


VALUES = st.fixed_dictionaries(
    {"a": st.text("x,-1", max_size=3), "b": st.text("x,-1", max_size=3) | st.integers(0, 11)}
)


@given(VALUES, VALUES)
def test_different_values_of_a_matrix_are_different_legs(
    one: dict[str, object], other: dict[str, object]
) -> None:
    same = {name: str(value) for name, value in one.items()} == {
        name: str(value) for name, value in other.items()
    }
    assert (leg(json.dumps(one)) == leg(json.dumps(other))) == same


PARTS = st.text("aZ0_.-:/ é", max_size=4)


@given(st.tuples(PARTS, PARTS), st.tuples(PARTS, PARTS))
def test_different_jobs_have_different_names_of_plain_characters(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    names = [
        artifact_name("7", "1", f"{job}:{shard.replace(':', '%3A')}") for job, shard in (one, other)
    ]
    assert (names[0] == names[1]) == (one == other)
    assert all(name.isascii() and not set(name) & set('":<>|*?\r\n\\/ ') for name in names)
