from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from flakegate.ci.context import GitFacts
from flakegate.git import change, facts, top, tracks

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607 # the user's git


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.py").write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_clean_checkout(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "git@github.com:acme/shop.git")
    git(checkout, "update-ref", "refs/remotes/origin/trunk", "HEAD")
    git(checkout, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    (checkout / "sub").mkdir()
    found = facts(checkout / "sub")
    assert found.folder == str(checkout / "sub")
    assert found.top == str(checkout)
    assert top(checkout / "sub") == checkout
    assert top(checkout.parent) is None
    assert found.remote == "git@github.com:acme/shop.git"
    assert found.commit is not None
    assert len(found.commit) == 40
    assert (found.branch, found.default_branch, found.dirty) == ("main", "trunk", False)


def test_a_detached_head_has_no_branch(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--detach")
    assert facts(checkout).branch is None
    assert facts(checkout).commit is not None


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    found = facts(tmp_path)
    assert (found.top, found.commit, found.branch, found.remote) == (
        str(tmp_path), None, "main", None
    )  # fmt: skip


def test_the_only_remote_counts_whatever_its_name(checkout: Path) -> None:
    git(checkout, "remote", "add", "upstream", "https://github.com/acme/shop")
    assert facts(checkout).remote == "https://github.com/acme/shop"
    git(checkout, "remote", "add", "other", "https://github.com/else/shop")
    assert facts(checkout).remote is None


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("a.py", True),
        ("new.py", True),
        ("reports/unit.xml", False),
        (".flakegate/history.db", False),
        ("__pycache__/a.pyc", False),
    ],
)
def test_what_makes_a_checkout_dirty(checkout: Path, name: str, dirty: bool) -> None:
    (checkout / name).parent.mkdir(exist_ok=True)
    (checkout / name).write_text("2\n")
    assert facts(checkout).dirty is dirty


def test_an_edited_tracked_report_is_dirty(checkout: Path) -> None:
    (checkout / "pom.xml").write_text("1")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "pom")
    (checkout / "pom.xml").write_text("2")
    assert facts(checkout).dirty is True
    git(checkout, "add", ".")
    assert facts(checkout).dirty is True


def test_outside_of_a_checkout(tmp_path: Path) -> None:
    assert facts(tmp_path) == GitFacts(folder=str(tmp_path))
    assert facts(tmp_path / "missing") == GitFacts(folder=str(tmp_path / "missing"))
    assert not tracks(tmp_path / "a")
    assert not tracks(tmp_path / "missing" / "a")


def test_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))  # the environment is git's, not our code
    assert facts(checkout) == GitFacts(folder=str(checkout))
    assert tracks(checkout / "a.py") is None
    assert tracks(checkout.parent / "a.py") is False


def test_a_checkout_of_somebody_else(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert tracks(checkout / "a.py") is None
    assert tracks(checkout / "missing.py") is False
    assert tracks(checkout / "missing" / "a.py") is False


def test_a_repository_cannot_start_programs(checkout: Path) -> None:
    seen = checkout.parent / "seen"
    hook = checkout.parent / "hook"
    hook.write_text(f"#!/bin/sh\ntouch '{seen}'\n")
    hook.chmod(0o755)
    git(checkout, "config", "core.fsmonitor", str(hook))
    assert facts(checkout).dirty is False
    assert not seen.exists()


def test_tracks(checkout: Path) -> None:
    (checkout / "new.py").write_text("1")
    assert tracks(checkout / "a.py")
    assert not tracks(checkout / "new.py")
    assert not tracks(checkout / "missing.py")


def test_tracks_what_a_link_points_to(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(checkout / "a.py")
    assert tracks(link)
    folder = tmp_path / "folder"
    folder.symlink_to(checkout)
    assert tracks(folder / "a.py")


def test_pathspec_signs_in_a_name_are_literal(checkout: Path) -> None:
    assert not tracks(checkout / "*.py")
    assert not tracks(checkout / ":(glob)**")


# What a change touches


@pytest.fixture
def change_of_two(checkout: Path) -> Path:
    """A branch of two commits: `a.py` renamed, one file with a hostile name, one edited twice."""
    git(checkout, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(checkout, "checkout", "-qb", "feature")
    git(checkout, "mv", "a.py", "b.py")
    (checkout / 'od"d\n.py').write_text("1\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Mend it\n\nDD_A1")
    (checkout / "sub").mkdir()
    (checkout / "sub/é.py").write_text("1\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "more")
    return checkout


CHANGED = frozenset({"a.py", "b.py", 'od"d\n.py', "sub/é.py"})


def test_a_change_has_both_names_of_what_was_renamed(change_of_two: Path) -> None:
    git(change_of_two, "config", "diff.relative", "true")
    git(change_of_two, "config", "diff.renames", "copies")
    found = change(change_of_two / "sub", target="main")
    assert found.files == CHANGED
    assert found.messages is not None
    assert "DD_A1" in "".join(found.messages)
    assert "first" not in "".join(found.messages)


def test_what_the_target_did_meanwhile_is_no_part_of_a_change(change_of_two: Path) -> None:
    git(change_of_two, "checkout", "-q", "main")
    (change_of_two / "theirs.py").write_text("1\n")
    git(change_of_two, "add", ".")
    git(change_of_two, "commit", "-qm", "theirs")
    git(change_of_two, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(change_of_two, "merge", "-q", "feature")  # as GitHub does to test a pull request
    merged = change(change_of_two, target="main")
    assert merged.files == CHANGED
    git(change_of_two, "checkout", "-q", "feature")
    assert change(change_of_two, target="main").files == CHANGED


def test_what_is_checked_out_and_not_committed_is_no_part_of_a_change(change_of_two: Path) -> None:
    (change_of_two / "b.py").write_text("edited\n")
    (change_of_two / "new.xml").write_text("1\n")
    assert change(change_of_two, target="main").files == CHANGED


def test_a_checkout_that_is_not_the_change_is_not_read(change_of_two: Path) -> None:
    git(change_of_two, "checkout", "-q", "main")
    found = change(change_of_two, target="main")
    assert (found.files, found.messages) == (None, None)
    assert "not the change's" in found.why


@pytest.mark.parametrize("target", [None, "other", "--all"])
def test_without_the_target_nothing_is_read(change_of_two: Path, target: str | None) -> None:
    found = change(change_of_two, target=target)
    assert (found.files, found.messages) == (None, None)
    assert "no common ancestor" in found.why


def test_outside_of_a_checkout_nothing_is_read(tmp_path: Path) -> None:
    assert change(tmp_path, target="main").files is None


def test_a_shallow_clone_is_not_read(change_of_two: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    source = f"file://{change_of_two}"
    git(tmp_path, "clone", "-q", "--depth=2", "--no-single-branch", source, str(clone))
    found = change(clone, target="main")
    assert (found.files, found.messages) == (None, None)
    assert "shallow" in found.why


def test_a_base_that_the_forge_tells_will_do_in_a_shallow_clone(
    change_of_two: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=3", f"file://{change_of_two}", str(clone))
    (clone / ".git/shallow").write_text(f"{commit(clone, 'HEAD~2')}\n")
    found = change(clone, target="main", base=commit(clone, "HEAD~2"))
    assert (found.files, found.messages) == (CHANGED, None)
    assert "shallow" in found.why
    assert change(clone, target="main", base="f" * 40).files is None
    assert change(clone, target="main", base=commit(clone, "HEAD")).files is None


def commit(folder: Path, name: str) -> str:
    done = subprocess.run(["git", "rev-parse", name], cwd=folder, check=True, capture_output=True)  # noqa: S607 # the user's git
    return done.stdout.decode().strip()
