from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.errors import ExitCode, UsageError
from flakegate.model import State, Transition
from flakegate.policy.plan import Plan, Skip, Unknown, dump, parse, stale

AT = 1_800_000_000.0
HOUR = 3_600.0
PLAN = Plan(
    repository="github.com/acme/shop",
    backend="store",
    policy="flakegate.yml",
    policy_digest="abc",
    at=AT,
    tests=3,
    transitions=(
        Transition(
            test_id="1",
            fqn="s.größe",
            from_state=State.ACTIVE,
            to_state=State.QUARANTINED,
            rule="noisy",
            reason="failed 8 of 31 runs (25.8 %)",
        ),
    ),
    skipped=(Skip(test_id="2", fqn="s.b", reason="exempt", detail="must block"),),
    unknown=(Unknown("noisy", "failure_rate", 1),),
)
SAVED = """\
{
  "at": "2027-01-15T08:00:00Z",
  "backend": "store",
  "held": [],
  "limits": [],
  "policy": "flakegate.yml",
  "policy_digest": "abc",
  "repository": "github.com/acme/shop",
  "skipped": [
    {
      "detail": "must block",
      "fqn": "s.b",
      "reason": "exempt",
      "rule": null,
      "test_id": "2"
    }
  ],
  "tests": 3,
  "transitions": [
    {
      "actor": null,
      "fqn": "s.gr\\u00f6\\u00dfe",
      "from": "active",
      "reason": "failed 8 of 31 runs (25.8 %)",
      "rule": "noisy",
      "test_id": "1",
      "to": "quarantined"
    }
  ],
  "unknown": [
    {
      "field": "failure_rate",
      "rule": "noisy",
      "tests": 1
    }
  ],
  "version": 1
}
"""


def test_a_plan_as_json() -> None:
    assert dump(PLAN) == SAVED
    assert parse(SAVED, "plan.json") == PLAN


transitions = st.lists(
    st.builds(
        Transition,
        test_id=st.text(max_size=3),
        fqn=st.text(max_size=3),
        from_state=st.sampled_from(State),
        to_state=st.sampled_from(State),
        rule=st.none() | st.text(max_size=3),
        reason=st.text(max_size=3),
        actor=st.none() | st.text(max_size=3),
    ),
    max_size=3,
).map(tuple)
words = st.text(max_size=5)
plans = st.builds(
    Plan,
    repository=words,
    backend=words,
    policy=words,
    policy_digest=words,
    at=st.integers(0, 4_000_000_000).map(float),
    tests=st.integers(0, 10**9),
    transitions=transitions,
    held=transitions,
    limits=st.lists(words, max_size=2).map(tuple),
    skipped=st.lists(
        st.builds(
            Skip, test_id=words, fqn=words, reason=words, detail=words, rule=st.none() | words
        ),
        max_size=2,
    ).map(tuple),
    unknown=st.lists(
        st.builds(Unknown, rule=words, field=words, tests=st.integers(0, 9)), max_size=2
    ).map(tuple),
)


@given(plans)
def test_a_saved_plan_reads_back(plan: Plan) -> None:
    assert parse(dump(plan), "plan.json") == plan


@given(st.floats(0, 4_000_000_000))
def test_times_survive_to_the_microsecond(at: float) -> None:
    saved = dump(Plan(repository="", backend="", policy="", policy_digest="", at=at, tests=0))
    again = parse(saved, "plan.json")
    assert abs(again.at - at) < 1e-6
    assert dump(again) == saved


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 1",
        "[]",
        "1",
        "null",
        "{}",
        '{"version": 2}',
        '{"version": true}',
        "[" * 99_999,
    ],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^plan\.json is not a saved plan: ") as raised:
        parse(text, "plan.json")
    assert raised.value.exit_code is ExitCode.USAGE
    assert raised.value.tip == "make one with `flakegate plan --out FILE`"


WRONG: tuple[object, ...] = (None, 1.5, -1, True, "x", {}, [1], [{}], [None])


@pytest.mark.parametrize("key", sorted(json.loads(SAVED)))
def test_every_part_of_a_plan_is_checked(key: str) -> None:
    document = json.loads(SAVED)
    right = document.pop(key)
    with pytest.raises(UsageError):
        parse(json.dumps(document), "plan.json")
    for wrong in WRONG:
        is_text = isinstance(right, str) and key != "at"
        if isinstance(wrong, str) and is_text:
            continue
        with pytest.raises(UsageError):
            parse(json.dumps({**document, key: wrong}), "plan.json")


@pytest.mark.parametrize("key", ["test_id", "fqn", "from", "to", "reason"])
def test_every_part_of_a_transition_is_checked(key: str) -> None:
    document = json.loads(SAVED)
    document["transitions"][0][key] = 7
    with pytest.raises(UsageError, match=f"`{key}`"):
        parse(json.dumps(document), "plan.json")
    document["transitions"][0][key] = "broken"
    if key in ("from", "to"):
        with pytest.raises(UsageError, match="is not a state"):
            parse(json.dumps(document), "plan.json")


@pytest.mark.parametrize("part", ["acme/shop", "flakegate.yml", "noisy"])
def test_half_a_character_is_refused(part: str) -> None:
    assert part in SAVED
    with pytest.raises(UsageError, match="holds half a character"):
        parse(SAVED.replace(part, part + r"\ud800"), "plan.json")
    whole = parse(SAVED.replace(part, part + r"\ud83d\ude00"), "plan.json")
    assert "\U0001f600" in str(whole)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="time zone"):
        parse(SAVED.replace("00:00Z", "00:00"), "plan.json")


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
def test_a_time_beyond_all_calendars_is_refused(at: str) -> None:
    document = {**json.loads(SAVED), "at": at}
    with pytest.raises(UsageError, match="`at` is not a time"):
        parse(json.dumps(document), "plan.json")


@given(st.text(max_size=40) | st.recursive(st.none() | words, st.lists).map(json.dumps))
def test_random_files_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text, "plan.json")


@pytest.mark.parametrize(
    ("age", "why"),
    [
        (0.0, None),
        (24 * HOUR, None),
        (24 * HOUR + 1, "24 hours ago"),
        (49 * HOUR, "49 hours ago"),
        (-300.0, None),
        (-301.0, "in the future"),
    ],
)
def test_an_old_plan_is_stale(age: float, why: str | None) -> None:
    found = stale(PLAN, repository=PLAN.repository, policy_digest="abc", now=AT + age)
    assert (found is None) is (why is None)
    assert why is None or why in (found or "")


def test_a_plan_for_something_else_is_stale() -> None:
    other = stale(PLAN, repository="github.com/acme/other", policy_digest="abc", now=AT)
    assert other == (
        "it was made for the repository github.com/acme/shop, and this is github.com/acme/other"
    )
    changed = stale(PLAN, repository=PLAN.repository, policy_digest="abd", now=AT)
    assert changed == "flakegate.yml has changed since it was made"
