from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flakegate.ci.clock import clock
from flakegate.ci.context import CIContext, GitFacts
from flakegate.ci.detect import context
from flakegate.ci.permission import may_apply
from flakegate.ci.repository import repository_id
from flakegate.errors import UsageError

CASES = sorted((Path(__file__).parent / "cases" / "ci").glob("*.json"))
MAIN = CIContext(
    provider="github",
    repository="github.com/acme/shop",
    branch="main",
    default_branch="main",
    event="push",
)


def read(path: Path) -> tuple[CIContext, dict[str, Any]]:
    case = json.loads(path.read_text())
    return context(case["env"], case["event"], GitFacts(**case["git"])), case["expected"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_environment(path: Path) -> None:
    found, expected = read(path)
    applies = expected.pop("applies", None)
    assert {name: getattr(found, name) for name in expected} == expected
    if applies is not None:
        assert may_apply("default_branch", found, None).allowed is applies


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_nothing_overrides_a_fork(path: Path) -> None:
    found, _ = read(path)
    for setting in ("always", "never", "default_branch"):
        assert may_apply(setting, found, override=True).allowed is not found.fork
        assert not may_apply(setting, found, override=False).allowed
        if found.of_change or found.event == "workflow_run":
            assert not may_apply(setting, found, None).allowed


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://github.com/DataDog/Shopist.git", "github.com/datadog/shopist"),
        ("https://user:secret@github.com/datadog/shopist/", "github.com/datadog/shopist"),
        ("https://x-access-token:t@github.com/a/b.git/", "github.com/a/b"),
        ("git@github.com:datadog/shopist.git", "github.com/datadog/shopist"),
        ("github.com:datadog/shopist", "github.com/datadog/shopist"),
        ("git@github.com:/datadog/shopist.git", "github.com/datadog/shopist"),
        ("ssh://git@gitlab.example.com:2222/a/b/c/d.git", "gitlab.example.com/a/b/c/d"),
        ("git://host/a.git", "host/a"),
        ("HTTPS://Me:Secret@GitHub.COM:443/Acme/Shop.GIT//", "github.com/acme/shop"),
        ("ssh://git@github.com/acme/shop", "github.com/acme/shop"),
        ("git+ssh://git@github.com/acme/shop.git", "github.com/acme/shop"),
        ("https://gitlab.com//group//sub/project.git", "gitlab.com/group/sub/project"),
        ("git@gitlab.com:Group/Sub/Project.git/", "gitlab.com/group/sub/project"),
        ("http://[::1]:3000/a/b", "::1/a/b"),
        ("https://github.com/a/my.git.repo", "github.com/a/my.git.repo"),
        (" https://github.com/a/b\n", "github.com/a/b"),
        ("file:///srv/git/shop.git", None),
        ("/srv/git/shop.git", None),
        ("../shop", None),
        ("./a:b", None),
        ("C:/repos/shop", None),
        ("C:\\repos\\shop", None),
        ("shop.bundle", None),
        ("https://github.com", None),
        ("https://github.com/.git", None),
        ("https://[broken/a/b", None),
        ("ext::sh -c evil", None),
        ("", None),
    ],
)
def test_repository_id(remote: str, expected: str | None) -> None:
    assert repository_id(remote) == expected


@given(st.text(max_size=40))
def test_repository_id_of_anything(remote: str) -> None:
    found = repository_id(remote)
    assert found is None or ("/" in found and found == found.lower())
    assert "secret" not in (repository_id(f"https://u:secret@host/{remote}") or "")


@pytest.mark.parametrize(
    ("setting", "changes", "override", "allowed", "because"),
    [
        ("default_branch", {}, None, True, "main is the default branch"),
        ("default_branch", {"branch": "topic"}, None, False, "topic is not the default branch"),
        ("default_branch", {"branch": None, "default_branch": None}, None, False, "not known"),
        ("default_branch", {"event": "release"}, None, False, "release is not a push"),
        ("default_branch", {"event": "merge_group"}, None, False, "merge_group is not a push"),
        ("default_branch", {"event": None}, None, False, "--apply allows it"),
        ("default_branch", {"branch": "topic"}, True, True, "--apply"),
        ("never", {}, None, False, "apply: never"),
        ("never", {}, True, True, "--apply"),
        ("always", {"branch": "topic"}, None, True, "apply: always"),
        ("always", {"event": None}, None, True, "apply: always"),
        ("always", {"event": "pull_request"}, None, False, "pull or merge request"),
        ("always", {"pull_request": "3"}, None, False, "pull or merge request"),
        ("always", {"event": "workflow_run"}, None, False, "workflow_run"),
        ("always", {}, False, False, "--no-apply"),
        ("always", {"fork": True}, True, False, "fork"),
        ("default_branch", {"pull_request": "3"}, True, True, "--apply"),
    ],
)
def test_may_apply(
    setting: str, changes: dict[str, Any], override: bool | None, allowed: bool, because: str
) -> None:
    permission = may_apply(setting, replace(MAIN, **changes), override)
    assert permission.allowed is allowed
    assert because in permission.because


def test_a_colon_in_a_jobs_name_cannot_forge_another_leg() -> None:
    assert replace(MAIN, job="a:b").leg != replace(MAIN, job="a", shard="b:").leg


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01T12:00:00Z", 1_782_907_200.0),
        ("2026-07-01T12:00:00z", 1_782_907_200.0),
        ("2026-07-01T14:00:00+02:00", 1_782_907_200.0),
        ("2026-07-01T12:00:00", 1_782_907_200.0),
        ("2026-07-01 12:00", 1_782_907_200.0),
        ("2026-07-01", 1_782_864_000.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("", None),
        (" ", None),
    ],
)
def test_clock(text: str, expected: float | None) -> None:
    assert clock({"FLAKEGATE_TIME": text}) == expected
    assert clock({}) is None


@pytest.mark.parametrize(
    "text",
    ["yesterday", "1782907200", "2026-13-01", "Z", "12:00\x1b[31m", "9999-12-31T23:00-14:00"],
)
def test_a_bad_clock_is_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        clock({"FLAKEGATE_TIME": text})
    assert "FLAKEGATE_TIME" in caught.value.message
    assert "2026-07-01T12:00:00Z" in (caught.value.tip or "")
    assert "\x1b" not in caught.value.message


@given(
    st.dictionaries(
        st.sampled_from(["GITHUB_ACTIONS", "GITHUB_EVENT_NAME", "GITHUB_REF", "GITHUB_SERVER_URL"]),
        st.sampled_from(["true", "pull_request", "workflow_run", "refs/heads/main", "", "x"]),
    ),
    st.dictionaries(
        st.sampled_from(["pull_request", "workflow_run", "repository", "issue", "merge_group"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=3),
            lambda inner: st.lists(inner) | st.dictionaries(
                st.sampled_from(["head", "repo", "full_name", "pull_requests", "number"]), inner
            ),
            max_leaves=8,
        ),
    ),
)  # fmt: skip
def test_no_event_is_too_odd(env: dict[str, str], event: dict[str, object]) -> None:
    found = context(env, event, GitFacts())
    if found.event == "pull_request":
        assert not may_apply("always", found, None).allowed
