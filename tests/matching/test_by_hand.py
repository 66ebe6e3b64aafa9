from __future__ import annotations

from flakegate.policy.rules import ReportSettings
from tests.matching.build import case, flaky, found, report

RSPEC = ReportSettings(paths="*", suite="{suite} at ./{file}", name="{classname}: {name}")


def test_the_templates_say_suite_and_name() -> None:
    written = case("adds", classname="Cart", suite="shop", file="spec/a_spec.rb")
    test = flaky("rspec", "shop at ./spec/a_spec.rb", "Cart: adds", "spec/a_spec.rb")
    assert found([report(written, settings=RSPEC)], [test]) == [test]
    elsewhere = flaky("rspec", "shop at ./spec/a_spec.rb", "Cart: adds", "b/spec/b_spec.rb")
    assert found([report(written, settings=RSPEC)], [elsewhere]) == [None]


def test_what_is_left_out_is_classname_and_name() -> None:
    test = flaky("m", "A", "b", "c/a.py")
    for settings in (
        ReportSettings(paths="*", suite="{classname}"),
        ReportSettings(paths="*", name="{name}"),
    ):
        assert found([report(case("b", classname="A"), settings=settings)], [test]) == [test]
        below = report(case("b", classname="A"), settings=settings, base_dir="d")
        assert found([below], [test]) == [None]


def test_a_placeholder_in_a_name_is_text() -> None:
    test = flaky("m", "{name}", "b", "a.py")
    written = report(
        case("b", classname="{name}"), settings=ReportSettings(paths="*", name="{name}")
    )
    assert found([written], [test]) == [test]


def test_a_case_without_what_a_template_asks_for_is_refused() -> None:
    (words,) = found([report(case("adds", classname="Cart"), settings=RSPEC)], [])
    assert "it has no file, which reports[].suite asks for" in str(words)


def test_the_module_of_a_declared_framework_counts() -> None:
    settings = ReportSettings(
        paths="*", framework="jest", suite="{file}", name="{classname} {name}"
    )
    written = report(case("b", classname="A", file="a.js"), settings=settings)
    jest, vitest = (flaky(module, "a.js", "A b", "a.js") for module in ("jest", "vitest"))
    assert found([written], [vitest]) == [None]
    assert found([written], [vitest, jest]) == [jest]


def test_cases_that_a_template_makes_one_are_refused() -> None:
    settings = ReportSettings(paths="*", name="{classname}")
    cases = [case(name, classname="A") for name in ("b", "c")]
    test = flaky("m", "A", "A", "a.py")
    assert found([report(cases[0], settings=settings)], [test]) == [test]
    assert test not in found([report(*cases, settings=settings)], [test])
