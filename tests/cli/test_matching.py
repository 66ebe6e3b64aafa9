"""`gate --backend datadog REPORT…`: failing cases against a list of flaky tests, over real HTTP."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import write
from tests.fake_datadog import KEYS, FakeDatadog, changed, flaky

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done

NOON = 1_795_176_000.0  # what FLAKEGATE_TIME says
FILE = "services/api/tests/test_cart.py"


def report(*cases: tuple[str, str], title: str = "pytest tests", failing: bool = True) -> str:
    """Cases as a runner's title, attributes and `>`; each fails."""
    inner = '<failure message="expected 42, got 41"/>' if failing else ""
    written = "".join(
        f'<testcase {attributes} name="{name}">{inner}</testcase>' for attributes, name in cases
    )
    return f'<testsuites name="{title}"><testsuite name="s">{written}</testsuite></testsuites>'


def known(test_id: str, state: str, suite: str, name: str, file: str = FILE, **more: Any) -> Any:
    """A flaky test of pytest."""
    return flaky(
        test_id,
        state=state,
        suite=suite,
        name=name,
        **{"module": "tests", "test_run_metadata": {"source_file": file}} | more,
    )


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    """Flaky tests of two services that share a test's names, and of a package of vitest."""
    write(folder, "flakegate.yml", "version: 1\nrules: []\n")
    tests = [
        known("api", "quarantined", "test_cart.py", "TestCart::test_total[1::2]"),
        known(
            "web", "active", "test_cart.py", "TestCart::test_total[1::2]", "services/web/" + FILE
        ),
        known("active", "active", "test_cart.py", "test_tax"),
        known("elsewhere", "quarantined", "test_shop.py", "test_rent"),
        known(
            "vitest", "quarantined", "src/a.test.ts", "cart adds", "src/a.test.ts", module="vitest"
        ),
    ]
    with FakeDatadog(tests=tests, clock=lambda: NOON) as fake:
        yield fake


@pytest.fixture
def gate(flakegate: Caller, datadog: FakeDatadog, folder: Path) -> Any:
    """Judges one report as `r.xml`; gives what was said, and by test name the reason code."""

    def call(document: str, *options: str) -> tuple[Done, dict[str, str]]:
        name = write(folder, "r.xml", document)
        arguments = ("gate", name, "--backend", "datadog", "--api-url", datadog.url, *options)
        done = flakegate(*arguments, "--format", "json", **KEYS)
        rows = json.loads(done.out)["failures"] if done.out else []
        return done, {each["name"]: each["reason"] for each in rows}

    return call


CART = 'classname="tests.test_cart.TestCart"'


def test_a_quarantined_test_of_pytest_is_excused(gate: Any, datadog: FakeDatadog) -> None:
    document = report((CART, "test_total[1::2]"))
    done, reasons = gate(document, "--base-dir", "services/api")
    assert reasons == {"test_total[1::2]": "quarantined"}, done.err
    assert done.code == 0
    assert json.loads(done.out)["reports"] == [
        {"report": "r.xml", "framework": "pytest", "guessed": True}
    ]
    assert [request.method for request in datadog.requests] == ["POST"]


def test_the_same_names_in_another_folder_are_another_test(gate: Any) -> None:
    done, reasons = gate(report((CART, "test_total[1::2]")), "--base-dir", "services/shop")
    assert (done.code, reasons) == (1, {"test_total[1::2]": "not-flaky"})


def test_a_folder_that_was_not_said_is_asked_for(gate: Any) -> None:
    done, reasons = gate(report(('classname="tests.test_cart"', "test_tax")))
    assert (done.code, reasons) == (1, {"test_tax": "ambiguous"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [("test_tax", "active"), ("test_new", "not-flaky"), ("test_rent", "not-flaky")],
)
def test_what_is_not_quarantined_blocks(gate: Any, name: str, reason: str) -> None:
    document = report(('classname="tests.test_cart"', name))
    done, reasons = gate(document, "--base-dir", "services/api")
    assert (done.code, reasons) == (1, {name: reason})


def test_one_that_is_not_excused_blocks_beside_one_that_is(gate: Any) -> None:
    document = report((CART, "test_total[1::2]"), ('classname="tests.test_cart"', "test_new"))
    done, reasons = gate(document, "--base-dir", "services/api")
    assert (done.code, set(reasons.values())) == (1, {"quarantined", "not-flaky"})


def test_a_reporter_without_paths_is_told_which_option_to_set(
    flakegate: Caller, datadog: FakeDatadog, folder: Path
) -> None:
    name = write(
        folder, "r.xml", report(('classname="cart adds"', "cart adds"), title="jest tests")
    )
    done = flakegate("gate", name, "--backend", "datadog", "--api-url", datadog.url, **KEYS)
    assert done.code == 1
    assert "set addFileAttribute=true (the report looks like jest's" in done.out
    assert "Let the report say what is missing" in done.out
    assert "Fix what failed around the tests" not in done.out
    assert datadog.requests == []  # there is nothing to ask


def test_the_policy_says_what_a_report_cannot(
    gate: Any, folder: Path, datadog: FakeDatadog
) -> None:
    document = report(('classname="src/a.test.ts"', "cart &gt; adds"), title="ours")
    assert gate(document)[0].code == 1
    write(folder, "flakegate.yml", "version: 1\nreports: [{paths: r.xml, framework: vitest}]\n")
    done, reasons = gate(document)
    assert (done.code, reasons) == (0, {"cart > adds": "quarantined"})
    assert json.loads(done.out)["reports"] == [
        {"report": "r.xml", "framework": "vitest", "guessed": False}
    ]
    tests = datadog.tests
    tests.append(flaky("hand", state="disabled", suite="a.spec", name="s: adds", module="rspec"))
    tests[-1]["attributes"]["test_run_metadata"] = {"source_file": "spec/a_spec.rb"}
    write(
        folder,
        "flakegate.yml",
        'version: 1\nreports: [{paths: r.xml, suite: "{classname}", name: "{suite}: {name}"}]\n',
    )
    document = report(('classname="a.spec" file="spec/a_spec.rb"', "adds"), title="ours")
    done, reasons = gate(document)
    assert (done.code, reasons) == (0, {"adds": "disabled"})


def test_an_absolute_path_is_placed_in_the_checkout_wherever_the_gate_is_called(
    gate: Any, datadog: FakeDatadog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)  # noqa: S607 # the user's git
    datadog.tests += [
        known("ours", "quarantined", "test/m.js", "a b", "packages/m/test/m.js", module="mocha"),
        known("twin", "quarantined", "test/m.js", "b b", "test/m.js", module="mocha"),
    ]
    document = (
        f'<testsuites name="Mocha Tests"><testsuite name="s" file="{folder}/packages/m/test/m.js">'
        '<testcase classname="b" name="a b"><failure/></testcase>'
        '<testcase classname="b" name="b b"><failure/></testcase></testsuite></testsuites>'
    )
    (folder / "packages/m").mkdir(parents=True)
    monkeypatch.chdir(folder / "packages/m")
    (folder / "packages/m/r.xml").write_text(document)
    assert gate(document)[1] == {"a b": "quarantined", "b b": "not-flaky"}


def test_ages_of_states_are_asked_for(gate: Any, datadog: FakeDatadog, folder: Path) -> None:
    policy = "version: 1\ngate: {max_age: 10d}\n"
    write(folder, "flakegate.yml", policy)
    history = [changed("quarantined", at=NOON - 20 * 86_400, policy="ftm_policy.manual")]
    datadog.tests[0]["attributes"]["history"] = history
    document = report((CART, "test_total[1::2]"))
    assert gate(document, "--base-dir", "services/api")[1] == {"test_total[1::2]": "expired"}
    write(folder, "flakegate.yml", policy.replace("10d", "30d"))
    assert gate(document, "--base-dir", "services/api")[1] == {"test_total[1::2]": "quarantined"}


def test_a_green_report_asks_nobody(gate: Any, datadog: FakeDatadog) -> None:
    done, _ = gate(report((CART, "test_total[1::2]"), failing=False))
    assert done.code == 0
    assert datadog.requests == []


def test_many_failures_are_few_searches_none_of_them_long(gate: Any, datadog: FakeDatadog) -> None:
    document = report(
        *(
            (f'classname="tests.unit.test_{number % 700}.TestCart"', f"test_{number}")
            for number in range(3_000)
        )
    )
    done, reasons = gate(document)
    assert (done.code, set(reasons.values())) == (1, {"not-flaky"})
    assert len(datadog.requests) <= 25
    assert max(len(request.body) for request in datadog.requests) < 6_000


def test_a_name_that_is_too_long_to_ask_about_is_refused(gate: Any, datadog: FakeDatadog) -> None:
    document = report((f'classname="tests.test_{"x" * 9_000}"', "test_a"))
    done, reasons = gate(document)
    assert (done.code, reasons) == (1, {"test_a": "ambiguous"})
    assert datadog.requests == []


def test_with_datadog_gone_a_failure_is_unavailable(flakegate: Caller, folder: Path) -> None:
    name = write(folder, "r.xml", report((CART, "test_total[1::2]")))
    url = "http://127.0.0.1:9"  # nobody listens there
    done = flakegate("gate", name, "--backend", "datadog", "--api-url", url, **KEYS)
    assert done.code == 4
    assert "could not be asked" in done.out
