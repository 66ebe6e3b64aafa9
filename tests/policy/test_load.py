"""Policies are files: good ones load (NAME.txt: their warnings), bad ones give NAME.txt exactly."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.model import State
from flakegate.policy.document import MAX_PROBLEMS
from flakegate.policy.load import MAX_BYTES, MAX_ITEMS, load
from flakegate.policy.problems import Place
from flakegate.policy.rules import BackendSettings, GateSettings, Limits, Policy, ReportSettings

CASES = Path(__file__).parent.parent / "cases" / "policies"
GOOD = sorted((CASES / "good").glob("*.yml"))
BAD = sorted((CASES / "bad").glob("*.yml"))


def valid(data: bytes | str) -> Policy:
    loaded = load(data.encode() if isinstance(data, str) else data, "p.yml")
    assert loaded.policy is not None, "\n".join(map(str, loaded.problems))
    return loaded.policy


def errors(data: bytes | str) -> list[str]:
    loaded = load(data.encode() if isinstance(data, str) else data, "p.yml")
    assert loaded.policy is None
    return [problem.message for problem in loaded.problems]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_policies_load(path: Path) -> None:
    loaded = load(path.read_bytes(), path.name)
    expected = path.with_suffix(".txt")
    warnings = "".join(f"{problem}\n" for problem in loaded.problems)
    assert loaded.policy is not None
    assert warnings == (expected.read_text() if expected.exists() else "")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_policies_say_exactly_why(path: Path) -> None:
    loaded = load(path.read_bytes(), path.name)
    assert loaded.policy is None
    assert "".join(f"{problem}\n" for problem in loaded.problems) == path.with_suffix(
        ".txt"
    ).read_text(encoding="utf-8")


def test_there_are_enough_cases_and_none_is_orphaned() -> None:
    assert len(GOOD) >= 12
    assert len(BAD) >= 45
    assert {path.stem for path in BAD} == {path.stem for path in (CASES / "bad").glob("*.txt")}
    assert {path.stem for path in GOOD} >= {path.stem for path in (CASES / "good").glob("*.txt")}


def test_the_full_policy_means_what_it_says() -> None:
    data = (CASES / "good" / "full.yml").read_bytes()
    policy = valid(data)
    assert policy.name == "p.yml"
    assert policy.digest == hashlib.sha256(data).hexdigest()
    assert policy.backend == BackendSettings(kind="datadog", query="env:ci")
    assert policy.apply == "never"
    assert policy.limits == Limits(
        max_changes=25,
        max_quarantined=5.0,
        max_quarantined_is_share=True,
        suite_size=12_000,
        worst_first=True,
    )
    assert policy.gate == GateSettings(
        observe=True,
        excuse=frozenset({State.QUARANTINED}),
        command_exit_codes=frozenset({1, 2}),
        min_state_age=900.0,
        max_age=28 * 86_400.0,
        min_tests=100,
        expect=("**/junit*.xml",),
    )
    assert policy.reports == (
        ReportSettings(paths="packages/c/**/junit*.xml", base_dir="packages/c"),
        ReportSettings(paths="retry/*.xml", attempts=True),
        ReportSettings(paths="web/*.xml", framework="vitest"),
        ReportSettings(paths="e2e/*.xml", suite="{file}", name="{classname} {name}"),
    )
    assert policy.rate_from == "all"
    assert policy.keep == 30 * 86_400.0
    (exempt,) = policy.exempt
    assert (exempt.reason, exempt.until, exempt.line, exempt.column) == (
        "must block the merge",
        date(2027, 3, 31),
        7,
        5,
    )
    noisy, recovered = policy.rules
    assert (noisy.id, noisy.from_states, noisy.to, noisy.line) == (
        "noisy",
        frozenset({State.ACTIVE}),
        State.QUARANTINED,
        11,
    )
    assert (recovered.from_states, recovered.to) == (
        frozenset({State.QUARANTINED}),
        State.ACTIVE,
    )
    assert [clause.place for clause in noisy.when.clauses] == [
        Place(line=14, column=9),
        Place(line=14, column=36),
        Place(line=15, column=9),
        Place(line=15, column=34),
    ]


def test_what_is_not_said_has_its_default() -> None:
    data = "version: 1\n"
    digest = hashlib.sha256(data.encode()).hexdigest()
    assert valid(data) == Policy(name="p.yml", digest=digest)


@pytest.mark.parametrize(
    ("to", "states"),
    [
        ("quarantined", {State.ACTIVE}),
        ("disabled", {State.ACTIVE, State.QUARANTINED}),
        ("active", {State.QUARANTINED}),
        ("fixed", {State.ACTIVE, State.QUARANTINED}),
    ],
)
def test_where_a_rule_starts_from_unless_it_says(to: str, states: set[State]) -> None:
    policy = valid(f"version: 1\nrules: [{{id: a, to: {to}, when: broken}}]\n")
    assert policy.rules[0].from_states == states


def test_disabled_to_active_is_refused_even_alone() -> None:
    text = "version: 1\nrules: [{id: a, from: disabled, to: active, when: broken}]\n"
    assert "disabled → active is refused" in errors(text)[0]


def test_scalars_are_text() -> None:
    policy = valid((CASES / "good" / "words_mean_themselves.yml").read_bytes())
    assert [rule.id for rule in policy.rules] == ["on", "no", "1.10", "2027-03-31"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", 0.0),
        ("90s", 90.0),
        ("15m", 900.0),
        ("1.5h", 5_400.0),
        ("500ms", 0.5),
        ("2w", 1_209_600),
    ],
)
def test_durations_in_seconds(written: str, expected: float) -> None:
    assert valid(f"version: 1\ngate: {{min_state_age: {written}}}\n").gate.min_state_age == expected


def test_a_max_age_of_nothing_is_no_default() -> None:
    assert valid("version: 1\ngate: {max_age: 0}\n").gate.max_age == 0.0
    assert valid("version: 1\n").gate.max_age is None


@pytest.mark.parametrize(
    ("written", "expected"), [(".", ""), ("./", ""), ("a/b/", "a/b"), ("./b//c/", "b/c")]
)
def test_base_dirs_are_normal(written: str, expected: str) -> None:
    policy = valid(f"version: 1\nreports: [{{paths: x, base_dir: {written}}}]\n")
    assert policy.reports[0].base_dir == expected


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("a:b (c OR d)", None),
        ('name:"a ) b"', None),
        (r'name:"a \" ) b"', None),
        (r"name:a\)", None),
        ("(a", "never closed"),
        ("a) OR (b", "closes nothing"),
        ('a:"b', "quote"),
        (r'a:"b\"', "quote"),
    ],
)
def test_queries_are_balanced(query: str, fault: str | None) -> None:
    text = f"version: 1\nbackend: {{query: '{query}'}}\n"
    if fault is None:
        assert valid(text).backend.query == query
    else:
        assert fault in errors(text)[0]


def test_a_policy_of_ten_thousand_lines() -> None:
    rule = "  - id: rule{0}\n    to: quarantined\n    when:\n"
    clause = "      - failure_rate > {1}% and not broken  # why {1}\n"
    text = "version: 1\nrules:\n" + "".join(
        rule.format(number) + "".join(clause.format(number, line) for line in range(7))
        for number in range(1_000)
    )
    assert text.count("\n") > 10_000
    assert len(valid(text).rules) == 1_000
    broken = text.replace("rule999", "rule998").replace("> 6% and", "> 0.6 and")
    loaded = load(broken.encode(), "p.yml")
    assert loaded.policy is None
    assert loaded.problems[0].place == Place(line=12, column=24)


def test_errors_beyond_what_anybody_reads_are_not_shown() -> None:
    text = "version: 1\n" + "".join(f"key{number}: 1\n" for number in range(50_000))
    found = errors(text)
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "more errors than these 100; the rest is not shown"


def test_too_many_rules_are_refused() -> None:
    rules = "".join(f"- {{id: a{n}, to: fixed, when: age > {n}d}}\n" for n in range(MAX_ITEMS + 1))
    assert errors(f"version: 1\nrules:\n{rules}") == ["`rules` has at most 1,000 items"]


def test_a_file_that_is_too_large_is_refused() -> None:
    filler = b"version: 1\n#"
    assert valid(filler + b"x" * (MAX_BYTES - len(filler)))
    assert errors(filler + b"x" * (MAX_BYTES + 1 - len(filler))) == [
        "the file has more than 1,048,576 bytes"
    ]


def test_hostile_files_of_the_largest_size_come_to_an_end() -> None:
    for piece in (b"[", b"{", b"- ", b"a: &a [*a]\n", b"? ", b'"', b"a: {a: 1}\n", b"&a ", b"!a "):
        head = b"version: 1\nrules: "
        assert errors(head + piece * ((MAX_BYTES - len(head)) // len(piece)))


@given(st.binary(max_size=300))
def test_random_bytes_never_crash(data: bytes) -> None:
    loaded = load(data, "p.yml")
    assert (loaded.policy is None) == any(problem.is_error for problem in loaded.problems)
    for problem in loaded.problems:
        assert str(problem).startswith("p.yml:")


GOOD_TEXTS = [path.read_bytes() for path in GOOD]


@given(
    st.sampled_from(GOOD_TEXTS),
    st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 5), st.binary(max_size=3)), max_size=4
    ),
)
def test_mutated_policies_never_crash(data: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    for at, length, put in edits:
        start = at % (len(data) + 1)
        data = data[:start] + put + data[start + length :]
    loaded = load(data, "p.yml")
    assert (loaded.policy is None) == any(problem.is_error for problem in loaded.problems)
    lines = data.count(b"\n") + 1
    assert all(1 <= problem.place.line <= lines for problem in loaded.problems)
    assert all(problem.place.column >= 1 for problem in loaded.problems)


YAML_PIECES = st.sampled_from(
    [
        "version: 1\n", "rules:\n", "  - id: a\n", "    to: quarantined\n", "    when: ",
        "failure_rate > 20%\n", "'", '"', "|\n", ">-\n", "      broken\n", "{", "}", "[", "]",
        ", ", ": ", "- ", "# c\n", "*a ", "&a ", "!b ", "<<: ", "---\n", "\t", "from: [active]\n",
        "exempt: [{when: broken, reason: x}]\n", "gate: {excuse: [quarantined]}\n", "\\", "\r\n",
    ]
)  # fmt: skip


@given(st.lists(YAML_PIECES, max_size=14).map("".join))
def test_shuffled_yaml_never_crashes(text: str) -> None:
    loaded = load(text.encode(), "p.yml")
    assert (loaded.policy is None) == any(problem.is_error for problem in loaded.problems)


NODES = ["", "[]", "{}", "[[]]", "''", "x", "[x]"]
RULE_VALUES = {
    "id": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "[]", "''"],
    "from": ["active", "[active]", "[quarantined, fixed]", "disabled", *NODES],
    "to": ["active", "quarantined", "disabled", "fixed", "[fixed]"],
    "when": ["broken", "[broken]", "[broken, age > 1d]", "runs > 1", "[]", "''", "[[]]"],
}
EXEMPT_VALUES = {
    "when": RULE_VALUES["when"],
    "reason": ["because", *NODES],
    "until": ["2027-03-31", "2027-02-30", *NODES],
}


def _items(values: dict[str, list[str]]) -> st.SearchStrategy[str]:
    """Flow mappings, each key with any of its values."""
    options = {key: st.sampled_from(choices) for key, choices in values.items()}
    optional = {key: options.pop(key) for key in ("from", "until") if key in options}
    entries = st.fixed_dictionaries(options, optional=optional)
    joined = entries.map(lambda entry: ", ".join(f"{key}: {entry[key]}" for key in entry))
    return st.lists(joined.map("{{{}}}".format), max_size=3).map(", ".join)


@given(_items(RULE_VALUES), _items(EXEMPT_VALUES))
def test_a_policy_that_loads_has_every_rule_and_exemption(rules: str, exempt: str) -> None:
    loaded = load(f"version: 1\nrules: [{rules}]\nexempt: [{exempt}]\n".encode(), "p.yml")
    if loaded.policy is not None:
        assert len(loaded.policy.rules) == rules.count("{")
        assert len(loaded.policy.exempt) == exempt.count("{")
