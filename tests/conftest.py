"""What every test of a command needs: a folder of its own, an empty CI environment, a caller."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings

from flakegate.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

CI_VARIABLES = ("FLAKEGATE_", "GITHUB_", "GITLAB_", "CI_", "DD_", "DATADOG_", "RUNNER_")

# A machine that is busy for a moment is no counterexample.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a call of flakegate ended."""

    code: int
    out: str
    err: str


class Caller(Protocol):
    def __call__(self, *arguments: str, **env: str) -> Done: ...


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """As in a terminal: what a script runs in its background inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with nothing of this machine's CI in the environment."""
    for name in os.environ:
        if name == "CI" or name.startswith(CI_VARIABLES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLAKEGATE_TIME", "2026-11-20T12:00:00Z")
    monkeypatch.setenv("FLAKEGATE_REPOSITORY", "github.com/acme/shop")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def flakegate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Caller:
    """Calls the command line in `folder`; keyword arguments are environment variables."""
    assert folder.is_dir()

    def call(*arguments: str, **env: str) -> Done:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            code = run(arguments)
        captured = capsys.readouterr()
        return Done(code=code, out=captured.out, err=captured.err)

    return call
