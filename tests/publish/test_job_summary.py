from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flakegate.publish.job_summary import STEP_SUMMARY_LIMIT, has_step_summary, step_summary
from flakegate.publish.registry import publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "summary.md"


def env(page: Path) -> dict[str, str]:
    return {"GITHUB_STEP_SUMMARY": str(page)}


def test_a_job_without_a_page() -> None:
    assert not has_step_summary({})
    assert not has_step_summary({"GITHUB_STEP_SUMMARY": ""})


def test_nothing_is_rendered_for_nobody() -> None:
    def markdown() -> str:
        raise AssertionError

    assert publish(markdown, {}) == ()


def test_what_others_wrote_stays(page: Path) -> None:
    page.write_text("coverage: 90 %")
    assert publish(lambda: "### ✅ Fine\n", env(page)) == ()
    assert publish(lambda: "### Again", env(page)) == ()
    assert page.read_text() == "coverage: 90 %\n### ✅ Fine\n\n### Again\n"


@pytest.mark.parametrize(("room", "fits"), [(0, True), (1, False)])
def test_a_full_page_is_left_as_it_is(page: Path, room: int, fits: bool) -> None:
    added = len("\n### ✅\n".encode())
    before = b"x" * (STEP_SUMMARY_LIMIT - added + room)
    page.write_bytes(before)
    problem = step_summary("### ✅", env(page))
    assert (problem is None) is fits
    assert (page.read_bytes() == before) is not fits
    if problem:
        assert "1 MiB" in problem


def test_a_page_that_cannot_be_written_is_a_warning(page: Path) -> None:
    (warning,) = publish(lambda: "### ✅", env(page / "missing" / "summary.md"))
    assert "could not be written" in warning
    assert "missing" in warning
