"""`flakegate doctor`: before the first bad day."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import junit, write
from tests.fake_datadog import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Caller

JEST = """<testsuites name="jest tests"><testsuite name="cart">
<testcase classname="cart adds" name="cart adds"/></testsuite></testsuites>"""


def document(flakegate: Caller, *arguments: str, **env: str) -> tuple[int, Any]:
    done = flakegate("doctor", *arguments, "--format", "json", **env)
    found = json.loads(done.out)
    assert found["exit_code"] == done.code
    return done.code, found


def test_all_is_well(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("test_a", "test_b"))
    done = flakegate("doctor", report)
    assert (done.code, done.err) == (0, "")
    assert "r.xml: 2 tests\n  matchable    2 of 2 tests\n" in done.out
    assert done.out.endswith("well: nothing stands in the gate's way\n")
    assert not (folder / ".flakegate").exists()


def test_an_option_of_the_reporter_is_named(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", JEST)
    done = flakegate("doctor", report, "--backend", "datadog", **KEYS)
    assert done.code == 0
    assert "NOT MATCHED  1 test, such as cart adds: jest-junit wrote no path" in done.out
    assert "addFileAttribute=true" in done.out
    assert "1 test could not be excused" in done.out
    store = flakegate("doctor", report).out
    assert "NOT MATCHED" not in store
    assert "NO FILE      1 test, such as cart adds" in store
    write(folder, "flakegate.yml", "version: 1\nrules: []\ngate: {changed_tests: excuse}\n")
    assert "NO FILE" not in flakegate("doctor", report).out


def test_broken_evidence_is_exit_3(flakegate: Caller, folder: Path) -> None:
    write(folder, "good.xml", junit("test_a"))
    write(folder, "bad.xml", junit("test_a")[:-20])
    code, found = document(flakegate, "good.xml", "bad.xml", "none.xml")
    assert code == 3
    assert [each["problem"] for each in found["evidence"]] == ["no-report", "truncated"]
    assert [each["report"] for each in found["reports"]] == ["bad.xml", "good.xml"]
    text = flakegate("doctor", "good.xml", "bad.xml")
    assert text.code == 3
    assert "broken: 1 problem with the evidence" in text.out
    write(folder, "empty.xml", "<testsuites/>")
    code, found = document(flakegate, "empty.xml")
    assert (code, [each["problem"] for each in found["evidence"]]) == (3, ["empty"])


def test_what_it_knows_of_the_run(flakegate: Caller) -> None:
    secret = "s3cret-value"  # noqa: S105 - of nobody
    env = {
        "DD_API_KEY": secret,
        "DD_APP_KEY": secret,
        "GITHUB_TOKEN": secret,
        "DD_SITE": "datadoghq.eu",
        "FLAKEGATE_COMMIT": "c0ffee",
        "FLAKEGATE_BRANCH": "feature",
        "FLAKEGATE_PULL_REQUEST": "7",
    }
    code, found = document(flakegate, **env)
    assert code == 0
    assert found["run"] == {
        "provider": "local",
        "repository": "github.com/acme/shop",
        "commit": "c0ffee",
        "branch": "feature",
        "default_branch": None,
        "pull_request": "7",
        "policy": "",
        "backend": "datadog",
        "place": "https://api.datadoghq.eu",
        "keys": {
            "DD_API_KEY": True,
            "DD_APP_KEY": True,
            "DD_ACCESS_TOKEN": False,
            "GITHUB_TOKEN": True,
            "GITLAB_TOKEN": False,
        },
        "checks_changes": True,
        "trouble": None,
    }
    done = flakegate("doctor", **env)
    assert "keys set     DD_API_KEY, DD_APP_KEY, GITHUB_TOKEN" in done.out
    assert secret not in done.out + done.err + json.dumps(found)


@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        ((), {"DD_API_KEY": "a"}, "DD_APP_KEY is not set, although DD_API_KEY is"),
        (("--backend", "datadog"), {}, "DD_API_KEY and DD_APP_KEY are not set"),
        (("--backend", "datadog"), KEYS | {"DD_SITE": "example.com"}, "is not a Datadog site"),
    ],
)
def test_trouble_that_shows_without_asking_is_exit_4(
    flakegate: Caller, options: tuple[str, ...], env: dict[str, str], words: str
) -> None:
    done = flakegate("doctor", *options, **env)
    assert done.code == 4
    assert f"TROUBLE      {words}" in done.out or words in done.out
    assert "not ready:" in done.out


def test_a_store_that_a_change_could_bring_along(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    write(folder, "flakegate.yml", "version: 1\nrules: []\n")
    assert flakegate("record", report, FLAKEGATE_RUN_ID="1").code == 0
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)  # noqa: S607 # the user's git
    subprocess.run(["git", "add", "-f", ".flakegate"], cwd=folder, check=True)  # noqa: S607
    assert flakegate("doctor", report).code == 0
    done = flakegate("doctor", report, FLAKEGATE_PULL_REQUEST="7")
    assert done.code == 4
    assert "is a file of the repository, so this change could excuse itself" in done.out


def test_hostile_names_stay_on_their_line(flakegate: Caller, folder: Path) -> None:
    name = "cart &#10;::error::x&#27;[31m"
    write(folder, "r.xml", JEST.replace("cart adds", name))
    done = flakegate("doctor", "r.xml", "--backend", "datadog", **KEYS)
    assert "\n::error" not in done.out
    assert "\x1b" not in done.out
