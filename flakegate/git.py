"""Asks git about a folder. Without git, or outside a checkout, it knows less and never fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate.ci.context import GitFacts

if TYPE_CHECKING:
    from flakegate.change import Change

_TIMEOUT = 10.0  # seconds for one question
# What a test run and flakegate itself leave behind: new, but no edit of what was tested.
_LEFT_BEHIND = (".xml", ".pyc")


def facts(folder: Path) -> GitFacts:
    """What git says of this folder; takes some milliseconds and changes nothing on disk."""
    here = Path(os.path.abspath(folder))  # noqa: PTH100 # resolve() would follow links
    # Asked all at once: each takes some milliseconds, most of them to start.
    asked = [
        _start(here, *question.split())
        for question in (
            "status --porcelain -z --untracked-files=all --no-renames",
            "rev-parse --show-toplevel",
            "remote",
            "rev-parse --verify --quiet HEAD",
            "symbolic-ref --quiet --short HEAD",
            "symbolic-ref --quiet --short refs/remotes/origin/HEAD",
        )
    ]
    status, *lines = [_answer(each) for each in asked]
    top, _, commit, branch, remote_head = map(_first_line, lines)
    if top is None:
        return GitFacts(folder=str(here))
    return GitFacts(
        folder=str(here),
        top=top,
        remote=_remote(here, lines[1]),
        commit=commit,
        branch=branch,
        default_branch=remote_head.removeprefix("origin/") if remote_head else None,
        dirty=_dirty(status),
    )


def top(folder: Path) -> Path | None:
    """The root of the checkout that a folder is in; None where git knows of none."""
    found = _line(folder, "rev-parse", "--show-toplevel")
    return None if found is None else Path(found)


def tracks(path: Path) -> bool | None:
    """Whether git tracks this file, itself or what it links to. False where there is none.

    None: it lies in a checkout that git cannot be asked about (no git, or it is another user's).
    """
    files = {file for file in {path, path.resolve()} if os.path.lexists(file)}
    if any(_ask(file.parent, "ls-files", "--error-unmatch", "--", file.name) for file in files):
        return True
    silent = (file for file in files if _ask(file.parent, "rev-parse", "--git-dir") is None)
    return None if any(_in_checkout(file) for file in silent) else False


def change(folder: Path, *, target: str | None, base: str | None = None) -> Change:
    """What the checked out commit changes against the branch that it is for.

    target: that branch, as its remote calls it. base: the commit that it was branched off, where a
    forge tells it. What git cannot know for sure, as in a shallow clone, is not read; `why` then
    says what is in the way.
    """
    root = top(folder)
    if root is None:
        return _unread("git knows of no checkout here")
    head = _line(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    whole = _line(root, "rev-parse", "--is-shallow-repository") == "false"
    since = _ask(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") if base else None
    if since is None:
        if not whole:
            return _unread("this checkout is shallow: it lacks the history before the change")
        branch = f"refs/remotes/origin/{target}"
        since = _ask(root, "merge-base", "--all", branch, "HEAD") if target else None
    bases = (since or "").split()
    if not bases:
        name = f"origin/{target}" if target else "the branch that the change is for"
        return _unread(f"git knows no common ancestor of HEAD and {name}")
    if head is None or head in bases:
        return _unread("the commit that is checked out is not the change's")
    from flakegate.change import Change

    # From the root, in plumbing that no setting of a user changes; a rename shows as two files.
    names = ("diff-tree", "-r", "-z", "--name-only", "--no-renames")
    lists = [_ask(root, *names, each, head) for each in bases]
    said = _ask(root, "rev-list", "--format=%B", head, "--not", *bases) if whole else None
    if None in lists:
        return _unread("git could not compare the change with where it was branched off")
    return Change(
        files=frozenset(name for each in lists for name in (each or "").split("\0") if name),
        messages=None if said is None else (said,),
        why="" if said is not None else "this checkout is shallow: commits of the change may lack",
    )


def _unread(why: str) -> Change:
    from flakegate.change import Change

    return Change(files=None, messages=None, why=why)


def _in_checkout(path: Path) -> bool:
    return any((folder / ".git").exists() for folder in path.absolute().parents)


def _remote(folder: Path, names: str | None) -> str | None:
    remotes = (names or "").split()
    name = "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else None
    return _line(folder, "remote", "get-url", name) if name else None


def _dirty(status: str | None) -> bool | None:
    if status is None:
        return None
    return any(
        not (entry.startswith("?? ") and _is_left_behind(entry[3:]))
        for entry in status.split("\0")
        if entry
    )


def _is_left_behind(path: str) -> bool:
    return path.endswith(_LEFT_BEHIND) or ".flakegate" in path.split("/")


def _line(folder: Path, *arguments: str) -> str | None:
    return _first_line(_ask(folder, *arguments))


def _first_line(answer: str | None) -> str | None:
    return (answer.strip("\n") or None) if answer is not None else None


def _ask(folder: Path, *arguments: str) -> str | None:
    """What git prints, None where it fails, is missing or takes too long."""
    return _answer(_start(folder, *arguments))


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(  # noqa: S603 # a fixed program; the arguments are our own
            # A repository's own settings must not start programs.
            ["git", "--literal-pathspecs", "-c", "core.fsmonitor=false", *arguments],  # noqa: S607 # the user's git
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError):
        return None


def _answer(started: subprocess.Popen[bytes] | None) -> str | None:
    if started is None:
        return None
    with started:
        try:
            printed, _ = started.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            started.kill()
            return None
        except BaseException:
            started.kill()
            raise
    return os.fsdecode(printed) if started.returncode == 0 else None
