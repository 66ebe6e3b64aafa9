from __future__ import annotations

from flakegate.policy.problems import Place, PolicyProblem


def problem(source: str, column: int, length: int = 1, hint: str | None = None) -> PolicyProblem:
    return PolicyProblem(
        severity="error",
        file="f.yml",
        place=Place(line=3, column=column),
        message="no",
        length=length,
        source=source,
        hint=hint,
    )


def test_a_problem_points_at_its_place_and_says_what_to_do() -> None:
    assert str(problem("when: abc", 7, 3, "write x")) == (
        "f.yml:3:7: error: no\n    when: abc\n          ^~~\n  write x"
    )


def test_without_a_source_line_there_is_no_caret() -> None:
    assert str(problem("", 1)) == "f.yml:3:1: error: no"
    assert str(problem("   ", 1)) == "f.yml:3:1: error: no"


def test_carets_keep_their_place_below_tabs_and_wide_characters() -> None:
    assert str(problem("\ta: b", 5)).splitlines()[2] == "    \t   ^"
    assert str(problem("日本 x", 4)).splitlines()[2] == "         ^"
    assert str(problem("日本 x", 1, 2)).splitlines()[2] == "    ^~~~"


def test_a_long_line_is_cut_around_the_place() -> None:
    _, line, carets = str(problem("a" * 500 + "HERE" + "b" * 500, 501, 4)).splitlines()
    assert len(line) <= 104
    assert line[carets.index("^") :].startswith("HERE")
    assert carets.strip() == "^~~~"


def test_a_length_beyond_the_line_ends_with_it() -> None:
    assert str(problem("abc", 2, 99)).splitlines()[2] == "     ^~"


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    assert "\x1b" not in str(problem("a\x1b[31m\u202e", 1))


def test_a_place_after_the_end_of_the_line() -> None:
    assert str(problem("abc", 4)).splitlines()[2] == "       ^"
