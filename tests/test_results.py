from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.identity import identify
from flakegate.junit import Case, Outcome, Report
from flakegate.results import Result, fold

P, F, E, S = Outcome.PASSED, Outcome.FAILURE, Outcome.ERROR, Outcome.SKIPPED
TEARDOWN = 'failed on teardown with "RuntimeError"'


def case(  # noqa: PLR0913 - a case has many attributes
    name: str | None,
    outcome: Outcome = P,
    message: str | None = None,
    *,
    classname: str | None = "A",
    suite: str | None = "s",
    file: str | None = None,
    earlier: tuple[Outcome, ...] = (),
) -> Case:
    return Case(
        suite=suite,
        classname=classname,
        name=name,
        file=file,
        suite_file=None,
        line=None,
        outcome=outcome,
        duration=None,
        message=message,
        earlier=earlier,
    )


def report(
    *cases: Case,
    path: str = "r.xml",
    writer: str | None = None,
    attempts_of: str | None = None,
    base_dir: str = "",
) -> Report:
    return Report(
        path=path,
        base_dir=base_dir,
        attempts_of=attempts_of,
        cases=cases,
        problems=(),
        writer=writer,
    )


def folded(*cases: Case, writer: str | None = None) -> list[tuple[Outcome, tuple[Outcome, ...]]]:
    """Outcome and earlier attempts of each result, none of which may be ambiguous."""
    results = fold([report(*cases, writer=writer)])
    assert [one.ambiguous for one in results] == [None] * len(results)
    return [(one.outcome, one.earlier) for one in results]


def all_ambiguous(results: tuple[Result, ...], number: int) -> bool:
    return len(results) == number and all(one.ambiguous for one in results)


def test_each_case_is_a_result_in_the_order_of_the_report() -> None:
    results = fold([report(case("b"), case("a", F), base_dir="web")])
    assert [(one.identity.module, one.identity.name, one.outcome) for one in results] == [
        ("web", "b", P),
        ("web", "a", F),
    ]
    assert [one.flaky for one in results] == [False, False]


@pytest.mark.parametrize(
    ("outcome", "earlier", "flaky"),
    [(P, (F,), True), (P, (E, F), True), (F, (F,), False), (P, (), False), (S, (F,), False)],
)
def test_rerun_elements_prove_attempts(
    outcome: Outcome, earlier: tuple[Outcome, ...], flaky: bool
) -> None:
    (result,) = fold([report(case("a", outcome, earlier=earlier))])
    assert (result.outcome, result.earlier, result.flaky) == (outcome, earlier, flaky)


# pytest


def test_pytest_pass_pass_fail_is_a_real_failure() -> None:
    assert folded(case("a"), case("a"), case("a", F), writer="pytest") == [(F, (F, F))]


def test_pytest_attempts_between_other_tests_as_xdist_writes_them() -> None:
    cases = [case("a"), case("b"), case("a"), case("c"), case("a", E)]
    assert folded(*cases, writer="pytest") == [(E, (F, F)), (P, ()), (P, ())]


@pytest.mark.parametrize("writer", ["gradle", None])
def test_the_same_pattern_of_others_proves_nothing(writer: str | None) -> None:
    assert all_ambiguous(fold([report(case("a"), case("a", F), writer=writer)]), 2)


@pytest.mark.parametrize("outcomes", [(F, P), (P, F, P), (F, F), (E, F), (S, F), (F, S), (F, E)])
def test_orders_that_pytest_never_writes_prove_nothing(outcomes: tuple[Outcome, ...]) -> None:
    cases = [case("a", outcome) for outcome in outcomes]
    assert all_ambiguous(fold([report(*cases, writer="pytest")]), len(cases))


def test_repeated_passes_are_harmless_and_no_proof_of_a_flake() -> None:
    assert folded(case("a"), case("a"), writer="pytest") == [(P, ()), (P, ())]
    assert folded(case("a"), case("a", S), case("a")) == [(P, ()), (S, ()), (P, ())]


@pytest.mark.parametrize("writer", ["pytest", None])
def test_a_failure_and_its_teardown_error_are_one_failing_test(writer: str | None) -> None:
    call, teardown = case("a", F, "assert"), case("a", E, TEARDOWN)
    (result,) = fold([report(call, teardown, writer=writer)])
    assert (result.outcome, result.case, result.also) == (F, call, (teardown,))
    assert (result.ambiguous, result.earlier) == (None, ())


def test_reruns_before_a_failure_with_its_teardown_error() -> None:
    cases = [case("a"), case("a"), case("a", F), case("a", E, TEARDOWN)]
    (result,) = fold([report(*cases, writer="pytest")])
    assert (result.outcome, result.earlier, len(result.also)) == (F, (F, F), 1)
    assert all_ambiguous(fold([report(*cases)]), 4)


@pytest.mark.parametrize(
    "cases",
    [
        (case("a", F), case("a", E, 'failed on setup with "RuntimeError"')),
        (case("a", F), case("a", E, None)),
        (case("a", E, TEARDOWN), case("a", F)),
        (case("a", F), case("a", F), case("a", E, TEARDOWN)),
        (case("a", E), case("a", E, TEARDOWN)),
        (case("a", E, TEARDOWN), case("a", E, TEARDOWN)),
    ],
)
def test_other_pairs_of_failures_prove_nothing(cases: tuple[Case, ...]) -> None:
    assert all_ambiguous(fold([report(*cases, writer="pytest")]), len(cases))


# Gradle


@pytest.mark.parametrize("name", ["total", "total()", "größe()", "$total_1"])
def test_gradle_retries_the_last_attempt_counts(name: str) -> None:
    def gradle(*outcomes: Outcome) -> list[tuple[Outcome, tuple[Outcome, ...]]]:
        return folded(*(case(name, outcome) for outcome in outcomes), writer="gradle")

    assert gradle(F, P) == [(P, (F,))]
    assert gradle(F, F, F) == [(F, (F, F))]


@pytest.mark.parametrize("outcomes", [(P, F), (F, P, P), (F, S), (P, F, P)])
def test_orders_that_gradle_never_writes_prove_nothing(outcomes: tuple[Outcome, ...]) -> None:
    cases = [case("total()", outcome) for outcome in outcomes]
    assert all_ambiguous(fold([report(*cases, writer="gradle")]), len(cases))


@pytest.mark.parametrize("name", ["adds 1 and 2", "[1] a", "total(int)", "total()[2]", "1st"])
def test_gradle_display_names_may_be_shared(name: str) -> None:
    assert all_ambiguous(fold([report(case(name, F), case(name), writer="gradle")]), 2)


# Names


def test_the_same_name_in_different_reports_never_merges() -> None:
    results = fold(
        [
            report(case("a", F), path="3.10.xml", writer="gradle"),
            report(case("a"), path="3.11.xml", writer="gradle"),
        ]
    )
    assert [(one.report, one.outcome, one.earlier, one.ambiguous) for one in results] == [
        ("3.10.xml", F, (), None),
        ("3.11.xml", P, (), None),
    ]


def test_what_has_one_identity_is_one_test_however_it_is_written() -> None:
    named_by_suite = case("a", F, classname=None, suite="A")
    assert all_ambiguous(fold([report(case("a"), named_by_suite)]), 2)
    assert all_ambiguous(fold([report(case("a"), case("a", F, classname="A", suite="x"))]), 2)


def test_what_differs_in_class_or_file_is_two_tests() -> None:
    assert len(folded(case("a", F), case("a", classname="B"), case("a", file="f.py"))) == 3


def test_nameless_cases_stay_apart_and_cannot_be_identified() -> None:
    cases = [case(None, F), case(None), case("", F), case("a", F, classname=None, suite=None)]
    assert all_ambiguous(fold([report(*cases, writer="pytest")]), 4)


def test_a_refused_failure_is_never_an_attempt() -> None:
    name = '"before each" hook for "adds"'
    assert all_ambiguous(fold([report(case(name), case(name, F), writer="pytest")]), 2)


def test_a_failure_named_as_a_group_of_tests_is_its_hook() -> None:
    group, inner = case("cart", F), case("cart > adds", S)
    (refused, _) = fold([report(group, inner)])
    assert "hook" in (refused.ambiguous or "")
    deep = fold([report(case("cart > sum", F), case("cart > sum > adds", S))])
    assert deep[0].ambiguous
    other = fold([report(case("cart", F, classname="B"), inner)])
    assert other[0].ambiguous is None
    (_, test) = fold([report(case("cart"), case("cart > adds", F))])
    assert test.ambiguous is None


# Declared attempts


def declared(*attempts: Case | tuple[Case, ...]) -> tuple[Result, ...]:
    """Folds one report for each attempt, given to it in the wrong order."""
    reports = [
        report(
            *(one if isinstance(one, tuple) else (one,)),
            path=f"attempt-{number}.xml",
            attempts_of="attempt-*.xml",
        )
        for number, one in enumerate(attempts, 1)
    ]
    return fold(reports[::-1])


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((F, P), (P, (F,))),
        ((P, F), (F, (P,))),
        ((F, E, P), (P, (F, E))),
        ((F, S), (F, ())),
        ((P, S), (P, ())),
        ((S, F, S, P, S), (P, (F,))),
        ((S, S), (S, ())),
        ((F, *[F] * 9, P), (P, (F,) * 10)),
    ],
)
def test_of_declared_attempts_the_last_that_ran_counts(
    outcomes: tuple[Outcome, ...], expected: tuple[Outcome, tuple[Outcome, ...]]
) -> None:
    (result,) = declared(*(case("a", outcome) for outcome in outcomes))
    assert (result.outcome, result.earlier) == expected


@pytest.mark.parametrize(
    "names",
    [
        ("unit.xml", "unit-2.xml"),
        ("unit.xml", "unit (1).xml"),
        ("unit.xml", "unit-retry.xml"),
        ("a.b/unit", "a.b/unit-2"),
        ("1/unit.xml", "2/unit.xml"),
    ],
)
def test_a_first_attempt_may_bear_the_name_without_more(names: tuple[str, str]) -> None:
    first, second = (
        report(case("a", outcome), path=name, attempts_of="*.xml")
        for name, outcome in zip(names, (P, F), strict=True)
    )
    (result,) = fold([second, first])
    assert (result.outcome, result.earlier) == (F, (P,))


def test_a_test_that_was_not_tried_again_keeps_its_failure() -> None:
    results = declared((case("a", F), case("b", F)), (case("a"),))
    assert [(one.identity.name, one.outcome) for one in results] == [("a", P), ("b", F)]
    assert [one.report for one in results] == ["attempt-2.xml", "attempt-1.xml"]


def test_rerun_elements_within_declared_attempts_keep_their_order() -> None:
    (result,) = declared(case("a", F, earlier=(E,)), case("a", P, earlier=(F,)))
    assert result.earlier == (E, F, F)


def test_files_are_declared_not_what_stands_twice_in_one_of_them() -> None:
    results = declared((case("a", F), case("a")), (case("a"),))
    assert [one.outcome for one in results if one.ambiguous] == [F, P]
    results = declared((case("a"), case("a")), (case("a", F),))
    assert all_ambiguous(results, 3)


def test_only_the_reports_of_one_declaration_are_attempts_of_one_another() -> None:
    results = fold(
        [
            report(case("a", F), path="one/1.xml", attempts_of="one/*.xml"),
            report(case("a"), path="two/1.xml", attempts_of="two/*.xml"),
        ]
    )
    assert [one.outcome for one in results] == [F, P]


# Properties

CASES = st.builds(
    case,
    st.sampled_from(["a", "a", "b()", "c > d", "c", None]),
    st.sampled_from([P, P, F, E, S]),
    st.sampled_from([None, TEARDOWN]),
)
REPORTS = st.lists(
    st.builds(
        lambda cases, writer, attempts, number: report(
            *cases, writer=writer, attempts_of=attempts, path=f"{number}.xml"
        ),
        st.lists(CASES, max_size=6),
        st.sampled_from([None, "pytest", "gradle"]),
        st.sampled_from([None, None, "x"]),
        st.integers(),
    ),
    max_size=3,
)


@given(REPORTS)
def test_every_case_ends_in_exactly_one_result(reports: list[Report]) -> None:
    def weight(result: Result) -> int:
        return 1 + len(result.earlier) + len(result.also)

    # A teardown's error is no attempt of its own where a later attempt counts.
    may_go = sum(
        one.outcome is S or one.message == TEARDOWN for each in reports for one in each.cases
    )
    cases = sum(len(each.cases) for each in reports)
    folded_cases = sum(map(weight, fold(reports)))
    assert cases - may_go <= folded_cases <= cases


@given(REPORTS)
def test_no_failure_is_lost_unless_a_later_pass_is_proven(reports: list[Report]) -> None:
    results = fold(reports)
    passed = {one.identity for one in results if one.flaky}
    failing = {one.identity for one in results if one.outcome.failing}
    for each in reports:
        for one in each.cases:
            if one.outcome.failing:
                assert identify(one, each.base_dir) in failing | passed
