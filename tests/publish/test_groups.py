"""Parts of a log that can be folded."""

from __future__ import annotations

import re

import pytest

from flakegate.publish.groups import closing, opening
from tests.summaries import HOSTILE

GITHUB, GITLAB = {"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}


def test_on_github() -> None:
    assert opening(GITHUB, "pytest -k '100%'", at=1.0) == "::group::pytest -k '100%25'\n"
    assert closing(GITHUB, began=1.0, at=2.0) == "\n::endgroup::\n"


def test_on_gitlab() -> None:
    assert opening(GITLAB, "pytest -q", at=10.0) == (
        "\x1b[0Ksection_start:10:flakegate_tests_10000[collapsed=true]\r\x1b[0Kpytest -q\n"
    )
    end = "\n\x1b[0Ksection_end:12:flakegate_tests_10000\r\x1b[0K\n"
    assert closing(GITLAB, began=10.0, at=12.4) == end


def test_elsewhere_nothing() -> None:
    assert opening({}, "pytest", at=1.0) == closing({}, began=1.0, at=2.0) == ""


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("env", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_a_heading_is_one_short_line(env: dict[str, str], name: str) -> None:
    text = opening(env, f"sh -c {HOSTILE[name]}", at=1.0)
    heading = text.partition("\x1b[0K")[2].partition("\x1b[0K")[2] if env is GITLAB else text
    assert text.endswith("\n")
    assert len(heading.splitlines()) == 1
    assert len(heading) < 3_000
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", heading)
