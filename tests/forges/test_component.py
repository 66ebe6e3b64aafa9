"""The GitLab component, run by gitlab-ci-local as GitLab would run it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from flakegate.record import decode_shard
from tests.forges.gitlab import MERGE_REQUEST, left, pipeline
from tests.forges.shop import make_shop

if TYPE_CHECKING:
    from pathlib import Path

PUSH = {"CI_PIPELINE_SOURCE": "push"}


def gate(name: str, reports: str, **inputs: str) -> str:
    """An include of the component. inputs: further ones, as YAML."""
    given = {
        "job": name,
        "reports": reports,
        "collect": "false",
        "python": sys.executable,
        **inputs,
    }
    lines = [f"      {key.replace('_', '-')}: {value}" for key, value in given.items()]
    return "\n".join(["  - local: templates/flakegate.yml", "    inputs:", *lines, ""])


HOSTILE = r"""|
        -q '$(touch by-args)' "`touch by-args`"
        '"; touch by-args; "'"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("component") / "shop"
    folder.mkdir()
    store = f"sqlite:///{folder.parent / 'history.db'}"
    return make_shop(folder, "git@gitlab.example.com:acme/shop.git", store)


def test_a_merge_request(shop: Path) -> None:
    store = json.dumps(f"sqlite:///{shop.parent / 'history.db'}")
    text = "include:\n" + "".join(
        (
            gate("green", "green"),
            gate(
                "excused", "flaky", store=store, needs="[tests]", test_exit_code="$TEST_EXIT_CODE"
            ),
            gate("blocked", "broken", store=store),
            gate("incomplete", "nothing-here"),
            gate("carried", "flaky"),
            gate("plan", '""', mode="plan", store=store),
            gate("hostile", "green", args=HOSTILE),
        )
    )
    text += "tests:\n  script: [echo CODE=1 >tests.env]\n"
    text += "  artifacts: {reports: {dotenv: tests.env}}\n"
    ran = pipeline(shop, text, MERGE_REQUEST)
    assert ran.jobs == {
        "tests": "PASS",
        "green": "PASS",
        "excused": "PASS",
        "blocked": "FAIL",
        "incomplete": "FAIL",
        "carried": "FAIL",
        "plan": "PASS",
        "hostile": "FAIL",
    }, ran.log
    assert "1 flaky failure excused" in ran.log
    assert "nothing-here: no report there" in ran.log
    assert "$(touch by-args): no report there (and 2 more)" in ran.log
    assert not list(shop.rglob("by-args*"))
    assert "GITLAB_TOKEN is not set for this step" in ran.log
    assert "flakegate/summary.md" in left(shop, "blocked")
    assert left(shop, "excused")["flakegate/flakegate.env"].read_text().splitlines() == [
        "FLAKEGATE_VERDICT=pass",
        "FLAKEGATE_BLOCKED=0",
        "FLAKEGATE_EXCUSED=1",
        "FLAKEGATE_CHANGED=0",
        "FLAKEGATE_SUMMARY_FILE=flakegate/summary.md",
        "FLAKEGATE_EXIT_CODE=0",
    ]
    assert "flakegate/shard.json.gz" not in left(shop, "blocked")  # its store is elsewhere
    shard = left(shop, "carried")["flakegate/shard.json.gz"]
    run = decode_shard(shard.read_bytes(), "carried")
    assert (run.repository, run.pull_request, run.leg) == (
        "gitlab.example.com/acme/shop", "7", "carried:",
    )  # fmt: skip


def test_the_default_branch_collects(shop: Path) -> None:
    text = "include:\n" + gate("gate", "green", collect="true")
    ran = pipeline(shop, text, PUSH)
    assert ran.jobs == {"gate": "PASS", "gate-history": "WARN"}, ran.log
    assert "give this step GITLAB_TOKEN" in ran.log
