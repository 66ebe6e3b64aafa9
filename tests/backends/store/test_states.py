"""States: sticky, changed in one transaction, and never an excuse for the run that caused them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flakegate.model import EXPIRY, State
from flakegate.policy.needs import whole
from tests.backends.store.build import (
    DAY,
    NOW,
    REPOSITORY,
    flaky,
    key_of,
    move,
    named,
    open_store,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flakegate.backends.store.store import Store

ACTIVE, QUARANTINED, DISABLED, FIXED = (
    State.ACTIVE,
    State.QUARANTINED,
    State.DISABLED,
    State.FIXED,
)
RUN = f"github:{REPOSITORY}:7"  # the CI run that asks for its excuse
POLICY_JOB = f"github:{REPOSITORY}:8"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With one active flaky test, `a`, and one that is not flaky, `b`."""
    store = open_store(tmp_path, pipeline=POLICY_JOB)
    store.record([run(1, NOW - 9 * DAY, a="fp", b="p")])
    return store


def failed_in(store: Store, pipeline: str, *, job: str = "tests:", attempt: int = 1) -> None:
    """Records a job of that CI run in which `a` failed."""
    key = f"{pipeline}:{attempt}:{job}"
    store.record([replace(run(2, NOW - 60, a="f", b="p"), key=key, pipeline=pipeline, leg=job)])


def as_seen_by(store: Store, pipeline: str | None) -> State | None:
    found = replace(store, pipeline=pipeline).find([named("a")])
    return found[named("a")].state if found else None


def moved(store: Store, before: State, after: State, rule: str | None = "noisy") -> None:
    assert [result.ok for result in store.update([move("a", before, after, rule)])] == [True]


# A run never excuses itself


@pytest.mark.parametrize("excuse", [QUARANTINED, DISABLED])
@pytest.mark.parametrize(
    ("job", "attempt"), [("tests:", 1), ("windows:", 1), ("tests:2", 1), ("tests:", 2)]
)
def test_a_state_that_its_own_failure_may_have_caused_is_not_seen(
    store: Store, excuse: State, job: str, attempt: int
) -> None:
    failed_in(store, RUN, job=job, attempt=attempt)
    moved(store, ACTIVE, excuse)
    assert as_seen_by(store, RUN) is ACTIVE
    assert as_seen_by(store, POLICY_JOB) is excuse
    assert flaky(store)["a"].state is excuse


def test_nor_when_its_own_policy_job_did_it(store: Store) -> None:
    failed_in(store, RUN)
    moved(replace(store, pipeline=RUN), ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is ACTIVE


def test_what_was_quarantined_before_excuses_it(store: Store) -> None:
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is QUARANTINED
    failed_in(store, RUN)
    assert as_seen_by(store, RUN) is QUARANTINED
    failed_in(store, RUN, attempt=2)
    assert as_seen_by(store, RUN) is QUARANTINED


def test_a_failure_that_came_into_the_store_later_caused_nothing(store: Store) -> None:
    """The run happened before the change, but its shard was collected after it."""
    moved(store, ACTIVE, QUARANTINED)
    early = replace(run(2, NOW - 8 * DAY, a="f", b="p"), key=f"{RUN}:1:t:", pipeline=RUN)
    store.record([early])
    assert as_seen_by(store, RUN) is QUARANTINED


def test_a_pass_or_another_tests_failure_causes_nothing(store: Store) -> None:
    store.record([replace(run(2, NOW - 60, a="p", b="f"), pipeline=RUN)])
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is QUARANTINED


def test_the_pass_that_showed_a_test_to_be_flaky_is_a_cause(tmp_path: Path) -> None:
    """Another run of the same commit failed; only this run's pass made that a flake."""
    fresh = open_store(tmp_path)
    failed = run(2, NOW - 120, a="f", b="p")
    passed = replace(run(3, NOW - 60, a="p", b="p"), pipeline=RUN, commit=failed.commit)
    fresh.record([failed])
    assert fresh.record([passed]).runs[0].detected == (key_of("a"),)
    moved(fresh, ACTIVE, QUARANTINED)
    assert as_seen_by(fresh, RUN) is ACTIVE
    assert as_seen_by(fresh, POLICY_JOB) is QUARANTINED


def test_a_failed_attempt_that_passed_on_retry_is_a_failure(store: Store) -> None:
    store.record([replace(run(2, NOW - 60, a="fp", b="p"), pipeline=RUN)])
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is ACTIVE


def test_an_outage_is_no_excuse_either(store: Store) -> None:
    down = run(2, NOW - 60, a="f", **{f"t{number}": "f" for number in range(9)})
    store.record([replace(down, pipeline=RUN)])
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is ACTIVE


def test_another_run_whose_number_begins_alike_is_another(store: Store) -> None:
    failed_in(store, f"{RUN}7")
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is QUARANTINED


def test_a_persons_change_counts(store: Store) -> None:
    failed_in(store, RUN)
    moved(store, ACTIVE, QUARANTINED, rule=None)
    assert as_seen_by(store, RUN) is QUARANTINED


def test_the_state_before_counts_again(store: Store) -> None:
    moved(store, ACTIVE, QUARANTINED, rule="early")
    failed_in(store, RUN)
    moved(store, QUARANTINED, DISABLED, rule="late")
    (test,) = replace(store, pipeline=RUN).find([named("a")]).values()
    assert test.state is QUARANTINED
    assert test.cause
    assert test.cause.rule == "early"
    assert test.state_since == NOW


def test_a_release_counts_whoever_did_it(store: Store) -> None:
    """Else ignoring it would give the run an excuse that nobody has any more."""
    moved(store, ACTIVE, QUARANTINED)
    failed_in(store, RUN)
    moved(store, QUARANTINED, ACTIVE, rule="recovered")
    assert as_seen_by(store, RUN) is ACTIVE
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is ACTIVE


def test_what_went_back_into_quarantine_may_rest_on_a_rule(store: Store) -> None:
    """Neither the rule that its own failure caused counts, nor what a person's end left of it."""
    failed_in(store, RUN)
    moved(store, ACTIVE, QUARANTINED)
    until = move("a", QUARANTINED, DISABLED, None)
    assert store.update([replace(until, until=NOW)])[0].ok
    back = replace(move("a", DISABLED, QUARANTINED, None), actor=EXPIRY)
    assert store.update([back])[0].ok
    (test,) = replace(store, pipeline=RUN).find([named("a")]).values()
    assert test.cause
    assert (test.state, test.cause.is_over(NOW)) == (DISABLED, True)
    assert as_seen_by(store, f"{RUN}7") is QUARANTINED


def test_what_was_chosen_for_a_time_is_kept_with_what_was_before(store: Store) -> None:
    moved(store, ACTIVE, QUARANTINED)
    for start, until in ((QUARANTINED, NOW + 1), (DISABLED, NOW + 2)):
        change = replace(move("a", start, DISABLED, None), until=until)
        assert replace(store, now=until - 1).update([change])[0].ok
    (test,) = store.find([named("a")]).values()
    assert test.cause
    assert (test.cause.until, test.cause.before, test.cause.at) == (NOW + 2, QUARANTINED, NOW + 1)
    assert test.state_since == NOW, "a new date makes it no younger"
    assert store.recent_changes(0) == 1


def test_without_any_state_before_it_is_active_as_detected(tmp_path: Path) -> None:
    store = open_store(tmp_path, pipeline=POLICY_JOB)
    store.record([replace(run(1, NOW - 60, a="fp", b="p"), pipeline=RUN)])
    moved(store, ACTIVE, QUARANTINED)
    assert as_seen_by(store, RUN) is ACTIVE
    assert as_seen_by(store, None) is QUARANTINED


def test_find_gives_only_what_was_asked_for_and_is_flaky(store: Store) -> None:
    assert set(store.find([named("a"), named("b"), named("never seen")])) == {named("a")}
    assert store.find([]) == {}
    other = replace(named("a"), source_file="elsewhere.py")
    assert store.find([other]) == {}


def test_find_takes_many(store: Store) -> None:
    assert set(store.find([*(named(f"x{n}") for n in range(2_000)), named("a")])) == {named("a")}


# Changes


def test_a_change_is_kept_with_its_cause(store: Store) -> None:
    moved(store, ACTIVE, QUARANTINED)
    test = flaky(store)["a"]
    assert (test.state, test.state_since) == (QUARANTINED, NOW)
    assert test.cause
    assert (test.cause.rule, test.cause.actor, test.cause.reason) == ("noisy", None, "because")
    assert [each.name for each in store.search(whole([QUARANTINED]))] == ["a"]
    assert store.search(whole([ACTIVE, FIXED, DISABLED])) == []


def test_what_changed_meanwhile_is_refused_and_the_rest_is_done(store: Store) -> None:
    store.record([run(3, NOW - DAY, a="p", b="fp")])
    moved(store, ACTIVE, DISABLED, rule="other")
    first, second = store.update([move("a", ACTIVE, QUARANTINED), move("b", ACTIVE, QUARANTINED)])
    assert (first.ok, second.ok) == (False, True)
    assert first.error == "it is disabled by rule other, no longer active: plan again"
    assert {name: test.state for name, test in flaky(store).items()} == {
        "a": DISABLED,
        "b": QUARANTINED,
    }


def test_one_test_twice_in_a_batch_is_changed_once(store: Store) -> None:
    done = store.update([move("a", ACTIVE, QUARANTINED)] * 2)
    assert [(result.ok, result.already) for result in done] == [(True, False), (True, True)]


def test_a_person_may_name_any_recorded_test(store: Store) -> None:
    by_rule, by_person = (
        store.update([move("b", ACTIVE, QUARANTINED, rule)])[0] for rule in ("noisy", None)
    )
    assert (by_rule.ok, by_rule.error) == (False, "it is not known as flaky")
    assert by_person.ok
    test = flaky(store)["b"]
    assert test.state is QUARANTINED
    assert (test.first_flaked_at, test.last_flaked_at, test.failures) == (None, None, 0)
    assert test.cause
    assert test.cause.actor == "ada"


def test_a_test_that_was_never_recorded_cannot_be_changed(store: Store) -> None:
    (result,) = store.update([move("nobody", ACTIVE, QUARANTINED, rule=None)])
    assert result.ok is False
    assert result.test_id == key_of("nobody")
    assert REPOSITORY in (result.error or "")


def test_nor_that_of_another_repository(store: Store, tmp_path: Path) -> None:
    other = open_store(tmp_path, repository="github.com/acme/other")
    assert [result.ok for result in other.update([move("a", ACTIVE, QUARANTINED)])] == [False]
    assert flaky(store)["a"].state is ACTIVE


def test_rules_moves_into_an_excuse_are_counted(store: Store, tmp_path: Path) -> None:
    store.record([run(3, NOW - DAY, a="p", b="fp", c="fp")])
    moved(replace(store, now=NOW - 2 * DAY), ACTIVE, QUARANTINED)
    moved(store, QUARANTINED, DISABLED)
    store.update([move("b", ACTIVE, QUARANTINED, rule=None), move("c", ACTIVE, FIXED)])
    assert store.recent_changes(NOW - DAY) == 1
    assert store.recent_changes(NOW - 3 * DAY) == 2
    assert store.recent_changes(NOW) == 0
    assert open_store(tmp_path, repository="github.com/acme/other").recent_changes(0) == 0


def test_every_recorded_test_is_listed_by_id(store: Store) -> None:
    assert store.recorded() == {key_of(name): named(name) for name in "ab"}


def test_search_is_in_the_order_of_ids_and_tells_how_many(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    letters = dict.fromkeys((f"t{number}" for number in range(30)), "p")
    store.record([run(1, NOW - DAY, **letters | {"t1": "fp", "t2": "fp", "t3": "fp", "t9": "fp"})])
    told: list[tuple[int, int | None]] = []
    ids = [test.id for test in store.search(whole([ACTIVE]), lambda *now: told.append(now))]
    assert ids == sorted(key_of(name) for name in ("t1", "t2", "t3", "t9"))
    assert told == [(4, 4)]


def test_being_found_flaky_is_no_change_of_a_state_but_flaking_again_is(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record([run(1, NOW - 5 * DAY, a="fp", b="p")])
    cause = flaky(store)["a"].cause
    assert cause is not None
    assert (cause.first, cause.by_person) == (True, False)
    store.update([move("a", ACTIVE, FIXED), move("b", ACTIVE, QUARANTINED, rule=None)])
    later = open_store(tmp_path, now=NOW + 2 * DAY)
    later.record([run(2, NOW + DAY, a="fp", b="p")])
    again, person = flaky(later)["a"].cause, flaky(later)["b"].cause
    assert again is not None
    assert person is not None
    assert (again.at, again.first, again.by_person) == (NOW + DAY, False, False)
    assert (person.at, person.first, person.by_person) == (NOW, False, True)
