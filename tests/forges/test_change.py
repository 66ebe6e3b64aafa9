"""What a forge says of a change, page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flakegate.ci.context import CIContext
from flakegate.errors import BackendError
from flakegate.forges.access import Forge, forge_of
from flakegate.forges.change import files, messages

if TYPE_CHECKING:
    from collections.abc import Callable

GITHUB = {"GITHUB_TOKEN": "t0ken", "GITHUB_REPOSITORY": "Acme/Shop"}
GITLAB = {
    "GITLAB_TOKEN": "t0ken",
    "CI_API_V4_URL": "https://git.acme.io/api/v4",
    "CI_PROJECT_ID": "9",
}


def of(provider: str, number: str | None = "7") -> CIContext:
    return CIContext(provider=provider, repository="r", pull_request=number)


def forge(env: dict[str, str], provider: str) -> Forge:
    found = forge_of(env, of(provider))
    assert found is not None
    return found


def served(lists: dict[str, list[Any]], **documents: Any) -> Callable[[str], bytes]:
    """Answers by the last part of the path; lists in pages of as many as are asked for."""

    def get(path: str) -> bytes:
        parts = urlsplit(path)
        name = parts.path.rpartition("/")[2]
        if name in documents:
            return json.dumps(documents[name]).encode()
        asked = parse_qs(parts.query)
        size, page = int(asked["per_page"][0]), int(asked["page"][0])
        return json.dumps(lists[name][size * (page - 1) : size * page]).encode()

    return get


def test_where_github_is_asked() -> None:
    found = forge(GITHUB, "github")
    assert (found.base_url, found.path) == ("https://api.github.com", "/repos/Acme/Shop/pulls/7")
    assert found.headers == {"Authorization": "Bearer t0ken"}
    assert "t0ken" not in repr(found)
    own = forge(GITHUB | {"GITHUB_API_URL": "https://git.acme.io/api/v3"}, "github")
    assert own.base_url == "https://git.acme.io/api/v3"


def test_where_gitlab_is_asked() -> None:
    found = forge(GITLAB, "gitlab")
    assert (found.base_url, found.path) == (
        "https://git.acme.io/api/v4",
        "/projects/9/merge_requests/7",
    )
    assert found.headers == {"PRIVATE-TOKEN": "t0ken"}
    fork = forge(GITLAB | {"CI_MERGE_REQUEST_PROJECT_ID": "5"}, "gitlab")
    assert fork.path == "/projects/5/merge_requests/7"


@pytest.mark.parametrize(
    ("env", "provider", "number"),
    [
        ({}, "github", "7"),
        ({**GITHUB, "GITHUB_TOKEN": ""}, "github", "7"),
        (GITHUB, "github", None),
        (GITHUB, "github", "7/../8"),
        (GITHUB, "github", "\u0667"),
        (GITHUB, "local", "7"),
        (GITHUB, "gitlab", "7"),
        ({**GITLAB, "CI_API_V4_URL": ""}, "gitlab", "7"),
    ],
)
def test_without_token_or_number_nobody_is_asked(
    env: dict[str, str], provider: str, number: str | None
) -> None:
    found = forge_of(env, of(provider, number))
    assert found is None or found.number is None


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 2_999])
def test_every_page_of_github_is_read(count: int) -> None:
    rows: list[Any] = [{"filename": f"f{number}", "status": "added"} for number in range(count)]
    found = files(forge(GITHUB, "github"), served({"files": rows}))
    assert found == {f"f{number}" for number in range(count)}


def test_a_renamed_file_has_both_names() -> None:
    rows = [{"filename": "b\n.py", "previous_filename": 'a".py', "status": "renamed"}]
    assert files(forge(GITHUB, "github"), served({"files": rows})) == {"b\n.py", 'a".py'}
    diffs = [{"new_path": "b", "old_path": "a", "renamed_file": True}]
    get = served({"diffs": diffs}, **{"7": {"changes_count": "1"}})
    assert files(forge(GITLAB, "gitlab"), get) == {"a", "b"}


def test_a_list_that_is_cut_off_is_none() -> None:
    rows: list[Any] = [{"filename": f"f{number}"} for number in range(3_000)]
    with pytest.raises(BackendError, match="3,000 files at most"):
        files(forge(GITHUB, "github"), served({"files": rows}))
    commits: list[Any] = [{"commit": {"message": "m"}}] * 250
    with pytest.raises(BackendError, match="250 commits at most"):
        messages(forge(GITHUB, "github"), served({"commits": commits}))
    diffs = [{"new_path": "b", "old_path": "b"}]
    for count in ("2", "1000+", "", None):
        get = served({"diffs": diffs}, **{"7": {"changes_count": count}})
        with pytest.raises(BackendError, match="1 changed files of"):
            files(forge(GITLAB, "gitlab"), get)


def test_messages_of_commits() -> None:
    rows: list[Any] = [{"commit": {"message": "DD_A1"}}, {"commit": {"message": "b"}}]
    assert set(messages(forge(GITHUB, "github"), served({"commits": rows}))) == {"DD_A1", "b"}
    rows = [{"message": "DD_A1", "title": "t"}]
    assert messages(forge(GITLAB, "gitlab"), served({"commits": rows})) == ("DD_A1",)


def once(answer: bytes) -> Callable[[str], bytes]:
    """The answer as the first page; nothing comes after it."""
    return lambda path: b"[]" if "page=2" in path else answer


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"{}", b"[1]", b'[{"filename": 1}]', b"[{}]", b"[" * 200_000, b"null"],
)
def test_nonsense_is_refused(answer: bytes) -> None:
    with pytest.raises(BackendError, match="not what the forge's API gives"):
        files(forge(GITHUB, "github"), once(answer))
    with pytest.raises(BackendError):
        files(forge(GITLAB, "gitlab"), once(answer))
    with pytest.raises(BackendError):
        messages(forge(GITHUB, "github"), once(answer))


def test_a_list_without_end_ends() -> None:
    full = json.dumps([{"filename": "a"}] * 100).encode()
    with pytest.raises(BackendError, match="more than 30,000"):
        files(forge(GITHUB, "github"), lambda _: full)
