"""The command line itself: help, misspelling, bugs, interruption, and what is loaded when."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flakegate.cli.main import COMMANDS
from flakegate.errors import MEANING, ExitCode
from flakegate.version import VERSION
from tests.cli.reports import SMALLEST, junit, write
from tests.fake_datadog import API_KEY, KEYS, FakeDatadog, flaky
from tests.faults import Reply

if TYPE_CHECKING:
    from tests.conftest import Caller

FLAKEGATE = (sys.executable, "-m", "flakegate")
# What a parent ignores (`nohup`, `&` in a script) its children ignore, Python included.
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('flakegate', run_name='__main__', alter_sys=True)"
)


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, which has loaded nothing yet."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_every_exit_code_is_unique_and_explained() -> None:
    assert len(set(ExitCode)) == len(ExitCode.__members__)
    assert set(MEANING) == set(ExitCode)


def test_version_loads_no_command_line() -> None:
    code = (
        "import sys; sys.argv=['flakegate','--version']; import flakegate.__main__ as m; m.main()"
    )
    listing = "; print(sorted(m for m in sys.modules if m in ('click', 'yaml', 'json')))"
    done = python(code + listing)
    assert done.stdout.splitlines() == [f"flakegate {VERSION}", "[]"]


def test_a_green_gate_loads_nothing_heavy(folder: Path) -> None:
    write(folder, "r.xml", junit("test_a"))
    heavy = ("jinja2", "requests", "sqlalchemy", "rich", "yaml", "junitparser", "msgspec")
    code = (
        "import sys; from flakegate.cli.main import run; code = run(['gate', 'r.xml']);"
        f"print(code, [m for m in {heavy} if m in sys.modules])"
    )
    done = python(code)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_says_what_it_does(flakegate: Caller, command: tuple[str, ...]) -> None:
    done = flakegate(*command, "--help")
    assert done.code == 0
    assert "Usage: flakegate" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gat", "r.xml"), "Did you mean 'gate'?"),
        (("frobnicate",), "`flakegate --help` lists them"),
        (("gate",), "REPORT"),
        (("gate", "--fromat", "json", "r.xml"), "--format"),
        (("gate", "r.xml", "--format", "yaml"), "'text', 'json'"),
        (("gate", "r.xml", "--test-exit-code", "one"), "--test-exit-code"),
        (("plan",), "flakegate init"),
        (("apply",), "flakegate init"),
        (("run",), "flakegate init"),
        (("check",), "flakegate init"),
        (("plan", "--policy", "missing.yml"), "missing.yml"),
        (("gate", "r.xml", "--policy", "missing.yml"), "missing.yml"),
        (("set", "a", "quarantined"), "--reason"),
    ],
)
def test_wrong_usage(flakegate: Caller, arguments: tuple[str, ...], says: str) -> None:
    done = flakegate(*arguments)
    assert done.code == 2
    assert says in done.err
    assert done.out == ""


def test_a_bad_time_is_named(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("test_a"))
    done = flakegate("gate", report, FLAKEGATE_TIME="yesterday")
    assert done.code == 2
    assert "FLAKEGATE_TIME" in done.err


def test_every_error_of_a_policy_at_once(flakegate: Caller, folder: Path) -> None:
    write(
        folder,
        "flakegate.yml",
        "version: 1\nrules:\n  - {id: a, to: quarantined, when: failure_rat > 20%}\n"
        "  - {id: a, to: nowhere, when: failure_rate > 0.2}\ncolour: red\n",
    )
    done = flakegate("check")
    assert done.code == 2
    for says in ("flakegate.yml:3:", "failure_rate", "flakegate.yml:4:", "20%", "colour"):
        assert says in done.out
    for command in (("plan",), ("apply",), ("run",), ("gate", "r.xml"), ("list",)):
        again = flakegate(*command)
        assert again.code == 2
        assert "flakegate.yml:4:" in again.err


def test_check_warns_and_exits_0(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    done = flakegate("check")
    assert done.code == 0
    assert "warning" in done.out
    expired = SMALLEST + "exempt: [{when: runs > 3, reason: x, until: 2026-11-19}]\n"
    write(folder, "other.yml", expired)
    both = flakegate("check", "other.yml", "--backend", "datadog")
    assert both.code == 0
    assert "expired" in both.out
    assert "runs" in both.out


def test_an_expired_exemption_warns_wherever_it_would_have_acted(
    flakegate: Caller, folder: Path
) -> None:
    exempt = 'exempt: [{when: name == "test_a", reason: x, until: 2026-11-19}]\n'
    write(folder, "flakegate.yml", SMALLEST + exempt)
    report = write(folder, "r.xml", junit("test_a"))
    for command in (("plan",), ("apply",), ("run", report), ("gate", report)):
        assert "flakegate.yml:3" in flakegate(*command).out, command
        in_force = flakegate(*command, FLAKEGATE_TIME="2026-11-19T23:59:59Z")
        assert "flakegate.yml:3" not in in_force.out


def test_init_writes_a_valid_policy_and_never_overwrites(flakegate: Caller, folder: Path) -> None:
    assert flakegate("init").code == 0
    text = (folder / "flakegate.yml").read_text()
    done = flakegate("check")
    assert (done.code, done.out) == (0, "flakegate.yml: valid, 2 rules\n")
    assert flakegate("plan").code == 0
    again = flakegate("init")
    assert again.code == 2
    assert "is there already" in again.err
    assert (folder / "flakegate.yml").read_text() == text


def test_a_bug_is_one_line_and_a_file_without_secrets(
    flakegate: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"with the key {API_KEY}")

    monkeypatch.setattr("json.dumps", broken)  # the standard library's, not ours
    done = flakegate("plan", "--backend", "store", **KEYS)
    assert done.code == 70
    says = r"error: a bug of flakegate: RuntimeError\ntip: the traceback is in \S+; please report"
    assert re.fullmatch(f"{says} it\n", done.err)
    (log,) = folder.glob("flakegate-*.log")
    text = log.read_text()
    assert "Traceback" in text
    assert "RuntimeError: with the key ***" in text
    assert API_KEY not in text


def test_interrupted(folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    with FakeDatadog(tests=[flaky("a", rate=50.0)], always=Reply(wait=30.0)) as fake:
        env = {**os.environ, **KEYS}
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, "plan", "--api-url", fake.url],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not fake.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "error: interrupted"


def test_a_reader_that_leaves_is_no_traceback(folder: Path) -> None:
    write(folder, "r.xml", junit(*(f"-test_{n}" for n in range(2000))))
    command = f"{sys.executable} -m flakegate gate r.xml --format json | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)  # noqa: S607
    assert done.stdout == "{\n"
    assert re.fullmatch("warning: store .*\n", done.stderr)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_output_changes_no_verdict(folder: Path, closed: str) -> None:
    write(folder, "good.xml", junit("test_a"))
    write(folder, "bad.xml", junit("-test_a"))
    for report, code in (("good.xml", 0), ("bad.xml", 1)):
        command = f"{sys.executable} -m flakegate gate {report} {closed}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)  # noqa: S607
        assert done.returncode == code
        assert "bug" not in done.stderr


def test_help_in_an_encoding_that_lacks_its_signs() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([*FLAKEGATE, "set", "--help"], env=env, capture_output=True, check=False)
    assert done.returncode == 0
    assert rb"TEST\u2026" in done.stdout


def test_a_folder_that_is_gone(flakegate: Caller, folder: Path) -> None:
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    done = flakegate("gate", "r.xml")
    os.chdir(folder)
    assert done.code == 2
    assert "No such file" in done.err


def test_a_store_that_is_no_url(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    assert flakegate("gate", report, "--store", "http://[::1").code == 2


@pytest.mark.parametrize("name", ["REPOSITORY", "RUN_ID", "JOB", "BRANCH", "COMMIT"])
def test_bytes_of_no_encoding_in_the_environment(
    flakegate: Caller, folder: Path, name: str
) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    report = write(folder, "r.xml", junit("-test_a"))
    assert flakegate("run", report, FLAKEGATE_RUN_ID="1").code == 1
    assert flakegate("set", "test_a", "quarantined", "--reason", "being rewritten").code == 0
    done = flakegate("run", report, **{"FLAKEGATE_RUN_ID": "2", f"FLAKEGATE_{name}": "x\udcff"})
    assert done.code == (1 if name == "REPOSITORY" else 0)


def test_an_event_that_nests_too_deep(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    event = write(folder, "event.json", "[" * 200_000)
    assert flakegate("gate", report, GITHUB_EVENT_PATH=event).code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("arguments", "code"), [(("gate", "r.xml"), 1), (("--help",), 2)])
def test_a_full_disk_under_the_output(folder: Path, arguments: tuple[str, ...], code: int) -> None:
    write(folder, "r.xml", junit("-test_a"))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FLAKEGATE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == code
    assert "standard output cannot be written" in done.stderr


def test_hostile_names_reach_no_output_unescaped(flakegate: Caller, folder: Path) -> None:
    name = (
        "&#27;[31m::error::pwned ##[error] @everyone &lt;img src=x&gt; | ](http://x)&#10;::set-env"
    )
    text = junit("-test").replace('name="test"', f'name="{name}"').replace("&#27;", "\u202e")
    done = flakegate("gate", write(folder, "r.xml", text), "--summary", "s.md")
    assert done.code == 1
    summary = (folder / "s.md").read_text()
    for output in (done.out, done.err, summary):
        assert "\u202e" not in output
        assert not re.search(r"^\s*::", output, re.MULTILINE)
        assert "##[" not in output
    assert "<img" not in summary


def test_json_is_alone_on_standard_output(flakegate: Caller, folder: Path) -> None:
    write(folder, "flakegate.yml", SMALLEST)
    report = write(folder, "r.xml", junit("-test_a"))
    for command in (("run", report), ("gate", report), ("plan",), ("apply",), ("check",)):
        done = flakegate(*command, "--format", "json")
        assert done.out.startswith("{\n")
        assert done.out.endswith("}\n")


def test_github_job_summary(flakegate: Caller, folder: Path) -> None:
    report = write(folder, "r.xml", junit("-test_a"))
    page = folder / "page.md"
    done = flakegate("run", report, "--summary", "s.md", GITHUB_STEP_SUMMARY=str(page))
    assert done.code == 1
    assert "test_a" in page.read_text()
    assert "test_a" in (folder / "s.md").read_text()
    lost = flakegate("run", report, GITHUB_STEP_SUMMARY=str(folder / "no/such/page.md"))
    assert lost.code == 1
    assert "warning" in lost.err
    assert Path(folder / "no").exists() is False
