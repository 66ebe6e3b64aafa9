from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.model import FlakyTest, State
from flakegate.policy.conditions import Condition, conjunction, parse
from flakegate.policy.grammar import MAX_DEPTH, MAX_LENGTH
from flakegate.policy.problems import Place
from flakegate.policy.syntax import And, Not, Or, show

from .strategies import NOW, flaky_tests, nodes, read

DAY = 86_400.0
BARE = FlakyTest(id="1", module="m", suite="s", name="n", state=State.ACTIVE)
TEST = replace(
    BARE,
    category="Timeout",
    error_message="boom\n42",
    codeowners=("@org/web",),
    envs=(),
    failure_rate=26.4,
    failed_pipelines=4,
    lost_time=7_800.0,
    first_flaked_at=NOW - 10 * DAY,
    last_flaked_at=NOW + 60,
    state_since=NOW - DAY,
    duration=0.25,
    impact_score=0.5,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("failure_rate > 20%", True),
        ("failure_rate > 26.4%", False),
        ("failure_rate >= 26.4%", True),
        ("failure_rate < 26.4%", False),
        ("failure_rate <= 26.4% and failure_rate == 26.4%", True),
        ("failure_rate != 26.4%", False),
        ("failed_pipelines in [3, 4]", True),
        ("failed_pipelines not in [3, 4]", False),
        ("lost_time == 130m and lost_time > 2h and lost_time < 0.5d", True),
        ("age == 10d and age > 1w and age < 2w", True),
        ("last_flaked_age == 0s", True),
        ("state_age >= 1d", True),
        ("duration == 250ms", True),
        ("impact_score <= 0.5", True),
        ('state == "active"', True),
        ('fqn == "m.s.n"', True),
        ('suite == "S"', False),
        ('category == "timeout" and category != "race"', True),
        ('category in ["race", "TIMEOUT"]', True),
        ('category =~ "t*OUT"', True),
        ('suite =~ "S"', False),
        ('error_message =~ "boom?42"', True),
        ('error_message == "boom\\n42"', True),
        ('codeowners has "@org/web"', True),
        ('not codeowners has "@org/api"', True),
        ('envs has "ci"', False),
        ('services has "web"', None),
        ("runs > 3", None),
        ("not runs > 3", None),
        ("runs not in [1]", None),
        ('source_file =~ "*"', None),
        ("known(runs)", False),
        ("known(failure_rate) and known(envs) and not known(services)", True),
        ("default(runs, 5) > 3", True),
        ("default(failed_pipelines, 0) == 4", True),
        ('default(source_file, "a.py") =~ "*.py"', True),
        ("broken", False),
        ("not broken", True),
        ("broken or failed_pipelines == 4 and failure_rate > 90%", False),
        ("(broken or failed_pipelines == 4) and failure_rate > 20%", True),
        ("not broken and not failure_rate > 90%", True),
        ("not (broken or failure_rate > 20%)", False),
        ("not not broken", False),
    ],
)
def test_what_conditions_mean(text: str, expected: bool | None) -> None:
    assert read(text).check(TEST, NOW) is expected


@pytest.mark.parametrize("rate", [None, float("nan"), float("inf"), -0.1, 100.1])
def test_a_rate_that_is_missing_or_nonsense_is_unknown(rate: float | None) -> None:
    test = replace(TEST, failure_rate=rate)
    for text in ("failure_rate > 20%", "failure_rate <= 20%", "broken", "not broken"):
        assert read(text).check(test, NOW) is None
    assert read("known(failure_rate)").check(test, NOW) is False
    assert read("default(failure_rate, 30%) > 20%").check(test, NOW) is True


@pytest.mark.parametrize(("rate", "broken"), [(100.0, True), (99.99, False), (0.0, False)])
def test_broken_means_that_every_run_failed(rate: float, broken: bool) -> None:
    assert read("broken").check(replace(TEST, failure_rate=rate), NOW) is broken


@pytest.mark.parametrize("count", [-1, float("nan")])
def test_counts_and_moments_that_are_nonsense_are_unknown(count: float) -> None:
    test = replace(TEST, lost_time=count, last_flaked_at=float("nan"))
    assert read("lost_time < 1h").check(test, NOW) is None
    assert read("last_flaked_age > 1d").check(test, NOW) is None


# Clauses about fields that the test has or lacks, by their outcome.
CLAUSES = {True: "failed_pipelines == 4", False: "failed_pipelines == 5", None: "runs == 1"}
ALL = (True, False, None)


@pytest.mark.parametrize(("left", "right"), list(itertools.product(ALL, ALL)))
def test_kleene_tables(left: bool | None, right: bool | None) -> None:
    both = {left, right}
    conjunction_ = False if False in both else None if None in both else True
    disjunction = True if True in both else None if None in both else False
    a, b = CLAUSES[left], CLAUSES[right]
    assert read(f"{a} and {b}").check(TEST, NOW) is conjunction_
    assert read(f"{a} or {b}").check(TEST, NOW) is disjunction
    assert read(f"not {a}").check(TEST, NOW) is (None if left is None else not left)


@given(nodes, flaky_tests)
def test_any_condition_answers_for_any_test(node: And | Or | Not, test: FlakyTest) -> None:
    condition = read(show(node))
    outcome = condition.check(test, NOW)
    assert outcome in ALL
    missing = condition.missing(test, NOW)
    assert bool(missing) or outcome is not None
    assert missing <= condition.fields
    negated = read(f"not ({condition})").check(test, NOW)
    assert negated is (None if outcome is None else not outcome)


@given(nodes)
def test_what_is_printed_reads_back(node: And | Or | Not) -> None:
    text = show(node)
    condition = parse(text)
    assert isinstance(condition, Condition), (text, condition)
    assert condition.node == node
    assert str(condition) == text


@pytest.mark.parametrize(
    "text",
    [
        "(broken and broken) and broken",
        "broken or (broken or broken)",
        "(broken or broken) and broken",
        "broken and broken or broken",
        "not (broken and broken)",
        "not not broken",
    ],
)
def test_parentheses_stay_where_they_tell_something(text: str) -> None:
    assert str(read(text)) == text
    assert str(read(f"(({text}))")) == text


def _unknowns(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        children.map("not ({})".format),
        st.tuples(children, children).map("({0[0]}) and ({0[1]})".format),
        st.tuples(children, children).map("({0[0]}) or ({0[1]})".format),
    )


@given(
    st.recursive(
        st.sampled_from(["runs > 1", 'services has "a"', 'source_file == "x"', "duration < 1s"]),
        _unknowns,
        max_leaves=12,
    )
)
def test_unknown_never_matches_however_it_is_nested(text: str) -> None:
    test = replace(TEST, duration=None)
    assert read(text).check(test, NOW) is None


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_has_flaws(text: str) -> None:
    result = parse(text)
    if not isinstance(result, Condition):
        assert result
        assert all(0 <= flaw.start <= flaw.end <= len(text) for flaw in result)


PIECES = [
    "failure_rate", "suite", "codeowners", "broken", "nonsense", "known", "default", "not", "and",
    "or", "in", "has", "(", ")", "[", "]", ",", "==", "!=", "<", ">=", "=~", "=", "&&", "!", "5",
    "20%", "150%", "2h", "3x", '"a"', '"', "'", "-", "≥", "true", "AND",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_shuffled_language_never_crashes(text: str) -> None:
    result = parse(text)
    assert isinstance(result, Condition) or result


def test_missing_names_only_the_fields_to_blame() -> None:
    condition = read('(runs > 1 and broken) or source_file == "x" or services has "a"')
    assert condition.check(TEST, NOW) is None
    assert condition.missing(TEST, NOW) == {"source_file", "services"}


def test_each_clause_tells_its_value_and_outcome() -> None:
    condition = read("failure_rate > 20% and not (runs > 3 or\n broken)")
    findings = condition.findings(TEST, NOW)
    assert [(each.clause.text, each.value, each.outcome) for each in findings] == [
        ("failure_rate > 20%", 26.4, True),
        ("runs > 3", None, None),
        ("broken", False, False),
    ]
    assert [each.clause.place for each in findings] == [
        Place(line=1, column=1),
        Place(line=1, column=29),
        Place(line=2, column=2),
    ]


def test_a_list_of_conditions_means_all_of_them() -> None:
    parts = (read("failure_rate > 20%"), read("broken or runs > 3"))
    both = conjunction(parts)
    assert str(both) == "failure_rate > 20% and (broken or runs > 3)"
    assert [clause.text for clause in both.clauses] == ["failure_rate > 20%", "broken", "runs > 3"]
    assert both == read("failure_rate > 20% and (broken or runs > 3)")
    assert conjunction(parts[:1]) is parts[0]


def test_conditions_are_equal_by_meaning_not_by_spelling() -> None:
    assert read("lost_time > 2h") == read("( lost_time  >  120.0m )")
    assert read("lost_time > 2h") != read("lost_time >= 2h")
    assert hash(read("broken")) == hash(read(" broken"))


@pytest.mark.parametrize("depth", [200, 100_000 // 20])
def test_deep_nesting_is_refused_clearly(depth: int) -> None:
    for text in ("(" * depth + "broken" + ")" * depth, "not " * depth + "broken"):
        result = parse(text)
        assert not isinstance(result, Condition)
        assert "inside each other" in result[0].message
    assert isinstance(parse("(" * MAX_DEPTH + "broken" + ")" * MAX_DEPTH), Condition)


def test_many_clauses_side_by_side_are_no_nesting() -> None:
    condition = read(" or ".join(["broken"] * 5_000))
    assert condition.check(TEST, NOW) is False


def test_a_condition_that_is_too_long_is_refused() -> None:
    result = parse("broken or " * MAX_LENGTH + "broken")
    assert not isinstance(result, Condition)
    assert "longer than 50,000 characters" in result[0].message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("failure_rate > 0.2", "percentage", "write `20%`"),
        ("failure_rate > 0.005", "percentage", "write `0.5%`"),
        ("failure_rate > 20", "percentage", "write `20%`"),
        ("default(failure_rate, 0) > 5%", "percentage", "write `0%`"),
        ("failure_rate in [5%, 0.1]", "percentage", "write `10%`"),
        ("failure_rate > 100.1%", "never above 100%", "100%"),
        ("lost_time > 5", "needs a unit", "`5s`, `5m`, `5h` or `5d`"),
        ("lost_time > 1h30m", "unknown unit `h30m`", "write `90m`"),
        ("failed_pipelines > 3%", "plain number", "write `3`"),
        ("failed_pipelines > 3d", "plain number", "write for example `3`"),
        ("suite > 5", "a text: `>`", "`==`, `!=`, `=~` and `in`"),
        ("broken == false", "true or false by itself", "not broken"),
        ("not codeowners", "compare it with something", 'has "…"'),
        ('codeowners =~ "@a*"', "does not fit", 'codeowners has "…"'),
        ('codeowners not has "a"', "expected `in`", "write `not codeowners has …`"),
        ("a = 1", "`=` is not", "write `==`"),
        ("broken & broken", "`&` is not", "write `and`"),
        ("runs <> 3", "`<>` is not", "write `!=`"),
        ('suite ~ "a"', "`~` is not", "write `=~`"),
        ('suite !~ "a"', "`!~` is not", "write `not … =~"),
        ("broken Or broken", "small letters", "write `or`"),
        ("runs ≤ 3", "LESS-THAN OR EQUAL TO", "write `<=`"),
        ("runs > \uff13", "FULLWIDTH DIGIT THREE", "write `3`"),
        ("runs > ٣", "ARABIC-INDIC DIGIT THREE", "write `3`"),
        ("runs\u00a0> 3", "NO-BREAK SPACE", "plain space"),
        ("runs\u200b > 3", "ZERO WIDTH SPACE", "remove it"),
        ("suite == “a”", "LEFT DOUBLE QUOTATION MARK", 'write `"`'),
        ("last\uff0dx > 3", "FULLWIDTH HYPHEN-MINUS", "write `-`"),
        ("größe > 3", "LATIN SMALL LETTER O WITH DIAERESIS", "double quotes"),
        ("runs > 3 %", "right after its number", None),
        ("impact_score > .5", "begins and ends with a digit", "`0.5`"),
        ("failure-rate > 5%", "unknown field `failure-rate`", "`failure_rate`"),
        ("known(nonsense)", "unknown field", "`flakegate fields`"),
        ("suite in []", "expected a value", None),
        ("suite in [a]", "expected a value, but found `a`", 'write `"a"`'),
        ("runs in 3", "expected `[`", None),
        ("default(envs, 3) > 3", "takes no default", "known(envs)"),
        ("runs > " + "9" * 400, "too large", None),
        ('suite == "a', "never closed", '`\\"`'),
        ('suite == "\\q"', "unknown escape", "`\\\\`"),
    ],
)
def test_slips_are_named_with_what_to_write(text: str, message: str, hint: str | None) -> None:
    result = parse(text)
    assert not isinstance(result, Condition)
    found = [flaw for flaw in result if message in flaw.message]
    assert found, result
    assert hint is None or hint in (found[0].hint or "")


def test_all_mistakes_of_a_condition_at_once() -> None:
    result = parse("failure_rat > 0.2 && lost_time > 5 || !(suite < 3) and failure_rate > 150%")
    assert not isinstance(result, Condition)
    assert [flaw.start for flaw in result] == sorted(flaw.start for flaw in result)
    assert len(result) == 8
