"""`flakegate exec` as a CI job has it: real commands, pipes, signals, and a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cli.reports import SMALLEST, junit, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Exec = Callable[..., subprocess.CompletedProcess[bytes]]

GREEN, RED = junit("test_a", "test_b"), junit("test_a", "-test_b")
FLAKEGATE = [sys.executable, "-m", "flakegate"]


@pytest.fixture
def execute(folder: Path) -> Exec:
    """Runs a shell script below `flakegate exec --report out.xml`; options: for flakegate."""
    write(folder, "green", GREEN)
    write(folder, "red", RED)

    def call(script: str, *options: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        argv = [*FLAKEGATE, "exec", "--report", "out.xml", *options, "--", "sh", "-c", script]
        return subprocess.run(argv, cwd=folder, input=stdin, capture_output=True, check=False)

    return call


@contextmanager
def started(folder: Path, script: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The same while it runs, once the script has written `ready`."""
    argv = [*FLAKEGATE, "exec", "--report", "out.xml", *options, "--", "sh", "-c", script]
    process = subprocess.Popen(
        argv,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Whoever runs the tests in the background may have them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    with process:
        try:
            appears(folder / "ready")
            yield process
        finally:
            process.kill()


def appears(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody collects has, too."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_green_tests_pass(execute: Exec) -> None:
    done = execute("cat green > out.xml")
    assert done.returncode == 0
    assert b"passed: 2 tests" in done.stdout


def test_a_failure_that_nobody_excuses_ends_with_the_code_of_the_command(execute: Exec) -> None:
    done = execute("cat red > out.xml; exit 1")
    assert done.returncode == 1
    assert b"BLOCKED" in done.stdout


def test_an_excused_failure_passes(execute: Exec, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    env = {**os.environ, "FLAKEGATE_RUN_ID": "1", "USER": "dana"}
    for arguments in (
        ["record", "red"],
        ["set", "test_b", "quarantined", "--reason", "being rewritten"],
    ):
        subprocess.run([*FLAKEGATE, *arguments], cwd=folder, env=env, check=True)
    done = execute("cat red > out.xml; exit 1")
    assert (done.returncode, b"1 flaky failure excused" in done.stdout) == (0, True)
    assert execute("cat red > out.xml; exit 2").returncode == 2
    assert execute("cat red > out.xml; kill -9 $$").returncode == 137
    assert execute("cat red > out.xml; exit 139").returncode == 139


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("cat green > out.xml; exit 1", 1, b"no case in the reports did"),
        ("cat green > out.xml; exit 7", 7, b"exit code 7"),
        ("cat green > out.xml; kill -9 $$", 137, b"SIGKILL"),
        ("cat green > out.xml; exit 137", 137, b"SIGKILL"),
        ("true", 3, b"out.xml: no report there"),
        ("head -c 60 green > out.xml", 3, b"killed"),
        ("cat red > out.xml", 1, b"BLOCKED"),  # it hid its failure behind a 0
    ],
)
def test_what_is_not_provably_whole_never_passes(
    execute: Exec, script: str, code: int, words: bytes
) -> None:
    done = execute(script)
    assert done.returncode == code
    assert words in done.stdout


def test_output_streams_through_untouched(execute: Exec) -> None:
    done = execute(r"printf '\033[32m\000\377 no newline'; printf err >&2; cat green > out.xml")
    assert done.stdout.startswith(b"\x1b[32m\x00\xff no newline")
    assert done.stderr == b"err"


def test_hundreds_of_megabytes_on_both_outputs_do_not_block(folder: Path) -> None:
    write(folder, "green", GREEN)
    script = "head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2; cat green > out.xml"
    argv = [*FLAKEGATE, "exec", "--report", "out.xml", "--", "sh", "-c", script]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        assert subprocess.run(argv, cwd=folder, stdout=out, stderr=err, check=False).returncode == 0
    assert (folder / "out").stat().st_size > 200_000_000
    assert (folder / "err").stat().st_size == 200_000_000


def test_output_arrives_while_the_command_runs(folder: Path) -> None:
    write(folder, "green", GREEN)
    script = "echo early; touch ready; while [ ! -e go ]; do sleep 0.01; done; cat green > out.xml"
    with started(folder, script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"early\n"
        (folder / "go").touch()
        assert process.wait(20) == 0


def test_standard_input_is_the_commands(execute: Exec, folder: Path) -> None:
    assert execute("cat > got; cat green > out.xml", stdin=b"a\x00b").returncode == 0
    assert (folder / "got").read_bytes() == b"a\x00b"


def test_json_is_alone_on_standard_output(execute: Exec) -> None:
    done = execute("echo noise; cat red > out.xml; exit 1", "--format", "json")
    assert json.loads(done.stdout)["gate"]["verdict"] == "block"
    assert b"noise\n" in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_reach_all_that_the_command_started(folder: Path, name: str) -> None:
    write(folder, "green", GREEN)
    script = (
        "cat green > out.xml; sleep 60 > /dev/null 2>&1 & echo $! > child;"
        f" trap 'touch trapped; exit 0' {name.removeprefix('SIG')}; touch ready; wait"
    )
    with started(folder, script) as process:
        process.send_signal(getattr(signal, name))
        out = process.communicate(timeout=20)[0].decode()
    # The command ended well, on request: but what it tested is not known to be all.
    assert process.returncode == 3, out
    assert f"flakegate was sent {name}" in out
    assert (folder / "trapped").exists()
    if name != "SIGINT":  # a shell has its background jobs ignore it
        pid = int((folder / "child").read_text())
        deadline = time.monotonic() + 10
        while not is_gone(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(folder: Path) -> None:
    write(folder, "green", GREEN)
    script = "cat green > out.xml; sleep 60 & echo $! > child; touch ready; wait"
    with started(folder, script, "--timeout", "0.5") as process:
        out = process.communicate(timeout=20)[0]
    assert process.returncode == 143
    assert b"still running after 0.5 s (--timeout)" in out
    assert is_gone(int((folder / "child").read_text()))


@pytest.mark.parametrize("argv", [["typo-of-pytest"], ["./green"], [""]])
def test_what_cannot_be_started_is_told_and_is_not_0(folder: Path, argv: list[str]) -> None:
    write(folder, "green", GREEN)
    write(folder, "out.xml", GREEN)
    command = [*FLAKEGATE, "exec", "--report", "out.xml", "--", *argv]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"nothing was run" in done.stderr
    assert done.stdout == b""


def test_a_broken_policy_is_told_before_the_tests_run(execute: Exec, folder: Path) -> None:
    write(folder, "flakegate.yml", "version: 1\nrulez: []\n")
    assert execute("touch ran").returncode == 2
    assert not (folder / "ran").exists()


def test_options_after_the_command_are_its_own(folder: Path) -> None:
    write(folder, "green", GREEN)
    argv = [*FLAKEGATE, "exec", "--report", "out.xml", "sh", "-c", "cat green > out.xml"]
    assert subprocess.run(argv, cwd=folder, check=False, capture_output=True).returncode == 0


# Reports of another run


def test_a_report_that_was_there_before_is_stale(execute: Exec, folder: Path) -> None:
    write(folder, "out.xml", GREEN)
    done = execute("true", "--format", "json")
    assert done.returncode == 3
    evidence = json.loads(done.stdout)["gate"]["evidence"]
    assert [(each["report"], each["problem"]) for each in evidence] == [("out.xml", "stale")]


def test_the_same_bytes_written_anew_are_not(execute: Exec, folder: Path) -> None:
    write(folder, "out.xml", GREEN)
    assert execute("cat green > out.xml").returncode == 0
    assert execute("cp green new; mv new out.xml").returncode == 0


def test_a_file_that_is_restored_from_elsewhere_is(execute: Exec, folder: Path) -> None:
    os.utime(folder / "green", (1_000_000_000, 1_000_000_000))
    done = execute("cp -p green out.xml")
    assert done.returncode == 3
    assert b"older than this run" in done.stdout


def test_one_stale_report_among_new_ones_does_not_pass(execute: Exec, folder: Path) -> None:
    write(folder, "all/old.xml", GREEN)
    done = execute("cat green > out.xml; cat green > all/new.xml", "--report", "all")
    assert done.returncode == 3
    assert b"all/old.xml: it is older" in done.stdout
    assert b"all/new.xml" not in done.stdout


# On a terminal


def on_terminal(folder: Path, script: str, typed: bytes) -> tuple[int, bytes]:
    """The exit code and the output of `flakegate exec` on a terminal, where `typed` is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(  # noqa: S606
            sys.executable,
            [*FLAKEGATE, "exec", "--report", "out.xml", "--", "sh", "-c", script],
        )
    appears(folder / "ready")
    os.write(terminal, typed)
    out = b""
    try:
        while more := os.read(terminal, 65_536):
            out += more
    except OSError:  # Linux says so at the end of a terminal
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out


def test_on_a_terminal_the_command_has_it(folder: Path) -> None:
    write(folder, "green", GREEN)
    script = "test -t 0 && test -t 1 && touch ready; read line; echo got $line; cat green > out.xml"
    code, out = on_terminal(folder, script, b"hello\n")
    assert (code, b"got hello" in out) == (0, True)


def test_control_c_ends_the_command_and_does_not_pass(folder: Path) -> None:
    write(folder, "green", GREEN)
    script = "cat green > out.xml; touch ready; sleep 60"
    code, out = on_terminal(folder, script, b"\x03")
    assert code == 130
    assert b"incomplete evidence" in out


@pytest.mark.parametrize(
    ("variable", "begins", "ends"),
    [
        ("GITHUB_ACTIONS", b"::group::sh -c ", b"\n::endgroup::\n"),
        ("GITLAB_CI", b"\x1b[0Ksection_start:", b"\n\x1b[0Ksection_end:"),
    ],
)
def test_a_ci_can_fold_the_output_of_the_tests(
    execute: Exec,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    begins: bytes,
    ends: bytes,
) -> None:
    monkeypatch.setenv(variable, "true")
    done = execute("cp green out.xml; printf 'three\\nlines\\nof it'")
    assert done.returncode == 0
    assert done.stdout.startswith(begins)
    before, _, after = done.stdout.partition(ends)
    assert before.endswith(b"three\nlines\nof it")
    assert b"passed: 2 tests" in after
    aside = execute("cp green out.xml; echo hello", "--format", "json")
    assert json.loads(aside.stdout)["exit_code"] == 0
    assert aside.stderr.startswith(begins)
