"""The query of a rule: whatever a test is called, the search stays what the policy says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.error_tracking.query import LONGEST, NAMES, NoQuery, flaw, query_for
from flakegate.policy.balance import unbalanced
from tests import fake_search
from tests.error_tracking.build import flaky

PLAIN = "service:{{ test.services[0] }}"


@pytest.mark.parametrize(
    ("template", "query"),
    [
        (PLAIN, 'service:"shop"'),
        ('service:"{{ test.services[0] }}"', 'service:"shop"'),
        ('service:"{{ test.services[0] }}-tests" env:ci', 'service:"shop-tests" env:ci'),
        ("service:{{ test.services | first | upper }}", 'service:"SHOP"'),
        ("service:{{ test.services[-1] ~ '-' ~ test.name }}", 'service:"shop-test_pay"'),
        ("service:{{ test.module|default('web') }}", 'service:"web"'),
        ("{{ test.codeowners|join(', ') }}", '"@org/payments"'),
        ("service:shop", "service:shop"),
        ("{# a comment #}service:shop", "service:shop"),
    ],
)
def test_values_are_in_quotes(template: str, query: str) -> None:
    assert flaw(template) is None
    assert query_for(template, flaky()) == query


@pytest.mark.parametrize(
    ("template", "said", "hint"),
    [
        ("service:{{ test.servics[0] }}", "unknown field `test.servics`", "`services`"),
        ("service:{{ test.failure_rate }}", "unknown field `test.failure_rate`", "fields are"),
        ("service:{{ test.services }}", "whole list", "test.services[0]"),
        ("{{ test.suite[0] }}", "a letter of the text", "test.suite"),
        ("service:{{ tset.suite }}", "names `tset`", "did you mean `test`?"),
        ("{{ test }}", "writes `test` itself", "test.suite"),
        ("{{ test['suite'] }}", "writes `test` itself", "test.suite"),
        ("{{ test.suite|lowr }}", "unknown filter `lowr`", "lower"),
        ("{{ test.suite|replace('', 'x') }}", "unknown filter `replace`", "filters are"),
        ("{{ test.suite.__class__ }}", "asks for `.__class__`", "item"),
        ("{{ test.__class__ }}", "unknown field `test.__class__`", "fields are"),
        ("{{ test.suite.upper() }}", "has a `call`", "write"),
        ("{{ cycler.__init__ }}", "names `cycler`", None),
        ("{{ 'x' * 10 ** 9 }}", "has a `mul`", "write"),
        ("{% for x in test.services %}a{% endfor %}", "has a `for`", "write"),
        ("{{ 'a' if test.suite else 'b' }}", "has a `condexpr`", "write"),
        ("{% set x = 1 %}", "has a `assign`", "write"),
        ("{% include '/etc/passwd' %}", "has a `include`", "write"),
        ("service:{{ test.suite", "is no template", "write for example"),
        ("service:{% if %}", "is no template", "write for example"),
        ('service:"{{ test.suite }}', "a quote that is never closed", "close"),
        ("(service:{{ test.suite }}", "a `(` that is never closed", "close"),
        ("a) OR (b", "a `)` that closes nothing", "close"),
    ],
)
def test_flaws_are_told(template: str, said: str, hint: str | None) -> None:
    found = flaw(template)
    assert found is not None
    assert said in found[0]
    assert (hint or "") in (found[1] or "")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (PLAIN, "services"),
        ("{{ test.services[3] }}", "services"),
        ("{{ test.error_message }}", "error_message"),
        ("{{ test.services|last|default(test.category) }}", "category"),
        ("{{ test.module }}", "module"),
        ("a\\{{ test.name }}", "a backslash before a value"),
        ("{{ '' }}", "a value that is not known"),
        ("x" * (LONGEST + 1), "4,001 characters"),
        ("{{ test.name }}" + '{{ "(" }}' + "(", "never closed"),
    ],
)
def test_what_is_not_known_is_not_searched(template: str, why: str) -> None:
    test = flaky(services=(), error_message=" ")
    found = query_for(template, test)
    assert isinstance(found, NoQuery)
    assert why in found.why


HOSTILE = st.text(min_size=1) | st.sampled_from(
    ['a" OR service:*', "*", "a AND b", "-x", "\\", '\\"', '"', "a)(b", "{{ 1 }}", "\x000\x00", "?"]
)


@given(value=HOSTILE, template=st.sampled_from([PLAIN, 'service:"{{ test.services[0] }}"']))
def test_a_value_finds_itself_and_nothing_else(value: str, template: str) -> None:
    query = query_for(template, flaky(services=(value,)))
    if isinstance(query, NoQuery):
        assert not value.strip() or "\x00" in value or len(value) * 2 > LONGEST
        return
    assert unbalanced(query) is None
    matches = fake_search.parse(f"{query} AND env:ci", {"service", "env"})
    assert matches({"service": (value,), "env": ("ci",)})
    assert not matches({"service": (value,), "env": ("no",)})
    others = {f"{value}x", f"x{value}", "", "*", "other"} - {value}
    assert not matches({"service": tuple(others), "env": ("ci",)})


@given(st.text())
def test_any_template_has_a_flaw_or_renders(template: str) -> None:
    if flaw(template) is None:
        assert isinstance(query_for(template, flaky()), (str, NoQuery))


@given(
    st.lists(st.sampled_from(["{{", "}}", "test", ".suite", "|", "first", "[0]", "'", "%", "("]))
)
def test_any_template_of_its_parts_too(parts: list[str]) -> None:
    template = " ".join(parts)
    if flaw(template) is None:
        assert isinstance(query_for(template, flaky()), (str, NoQuery))


def test_fields_are_those_of_conditions() -> None:
    assert {"services", "suite", "codeowners", "error_message"} < set(NAMES)
    assert not {"failure_rate", "age", "broken"} & set(NAMES)
