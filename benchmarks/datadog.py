"""Reading 50,000 flaky tests of Datadog, beside its own client: `python benchmarks/datadog.py`.

The server is a process of its own (datadog_pages.py), and so is every client. Processor and wall
time are of the walk alone, imports aside; the memory is that of a whole `flakegate plan`. The
median of five rounds is told of flakegate, and one round of the other, which takes its time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS, MB = 5, 1024.0  # ru_maxrss is in kB
REPOSITORY = "github.com/acme/shop"
HERE = Path(__file__).parent
WHOLE = """version: 1
rules:
  - {id: all, to: disabled, from: [active, quarantined, fixed], when: age > 9999w}
  - {id: too, to: fixed, from: disabled, when: age > 9999w}
"""
ABOVE = "version: 1\nrules: [{id: noisy, to: quarantined, when: failure_rate > 20%}]\n"


class Walked(TypedDict):
    """What one walk took. cpu, wall: seconds."""

    tests: int
    cpu: float
    wall: float


def ours(url: str) -> Callable[[], int]:
    """Flakegate, ready to read the list and say how many tests it holds."""
    from flakegate.backends.datadog.backend import Datadog
    from flakegate.policy.needs import whole
    from flakegate.transport.client import Transport

    keys = {"DD-API-KEY": "benchmark", "DD-APPLICATION-KEY": "benchmark"}
    datadog = Datadog(Transport(url, headers=keys), repository=REPOSITORY)
    return lambda: len(datadog.search(whole()))


def theirs(url: str) -> Callable[[], int]:
    """The official client, likewise, with pages of the same size."""
    from flakegate.backends.datadog.searching import PAGE_SIZE

    client = import_module("datadog_api_client")
    apis = import_module("datadog_api_client.v2.api.test_optimization_api")
    models = import_module("datadog_api_client.v2.models")
    api = apis.TestOptimizationApi(client.ApiClient(client.Configuration(host=url)))
    request = models.FlakyTestsSearchRequest(
        data=models.FlakyTestsSearchRequestData(
            type=models.FlakyTestsSearchRequestDataType.SEARCH_FLAKY_TESTS_REQUEST,
            attributes=models.FlakyTestsSearchRequestAttributes(
                filter=models.FlakyTestsSearchFilter(query=f'@git.repository.id_v2:"{REPOSITORY}"'),
                page=models.FlakyTestsSearchPageOptions(limit=PAGE_SIZE),
                sort=models.FlakyTestsSearchSort.FQN_ASCENDING,
            ),
        )
    )
    return lambda: sum(1 for _ in api.search_flaky_tests_with_pagination(body=request))


def measure(walk: Callable[[], int]) -> Walked:
    """Walks once."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    tests = walk()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Walked(tests=tests, cpu=cpu, wall=wall)


def in_process(client: str, url: str) -> Walked:
    """The same in a process of its own."""
    command = [sys.executable, __file__, client, url]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - this file
    walked: Walked = json.loads(done.stdout)
    return walked


def plan(policy: str, url: str, folder: Path) -> float:
    """The peak memory, in MB, of `flakegate plan` with this policy."""
    (folder / "flakegate.yml").write_text(policy)
    child = subprocess.Popen(  # noqa: S603 - flakegate itself
        [sys.executable, "-m", "flakegate", "plan", "--api-url", url, "--repository", REPOSITORY],
        cwd=folder,
        env={**os.environ, "DD_API_KEY": "benchmark", "DD_APP_KEY": "benchmark"},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"flakegate plan ended with {child.returncode}")
    return usage.ru_maxrss / MB


def asked(url: str) -> int:
    """How many pages were asked for since this was last called."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server's
        return int(answer.read())


@contextmanager
def server() -> Iterator[str]:
    """Its address, while it runs."""
    command = [sys.executable, str(HERE / "datadog_pages.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            yield (process.stdout.readline() if process.stdout else "").strip()
        finally:
            process.kill()


def say(what: str, value: float, budget: float, unit: str, *, least: bool = False) -> None:
    """One line: the measured value and its budget."""
    kept = value >= budget if least else value <= budget
    bound = "at least" if least else "at most"
    print(
        f"{what:<46} {value:8.1f} {unit:<6} {bound:<8} {budget:5.0f}   {'' if kept else 'MISSED'}"
    )


def main() -> None:
    """Prints the table."""
    with server() as url, tempfile.TemporaryDirectory() as folder:
        rounds = [in_process("ours", url) for _ in range(ROUNDS)]
        requests = asked(url) / ROUNDS
        other = in_process("theirs", url)
        cpu, wall = (median(each[key] for each in rounds) for key in ("cpu", "wall"))
        tests = {each["tests"] for each in (*rounds, other)}
        print(f"flakegate: {cpu:.2f} s of processor, {wall:.2f} s, {requests:.0f} requests")
        print(f"datadog-api-client: {other['cpu']:.2f} s, {other['wall']:.2f} s; tests: {tests}")
        say("less processor time", other["cpu"] / cpu, 10, "x", least=True)
        say("less wall time", other["wall"] / wall, 4, "x", least=True)
        asked(url)
        say("memory of a plan of the whole list", plan(WHOLE, url, Path(folder)), 120, "MB")
        every = asked(url)
        say("memory of a plan of failure_rate > 20%", plan(ABOVE, url, Path(folder)), 60, "MB")
        say("its requests, of those for the whole list", 100 * asked(url) / every, 5, "%")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure({"ours": ours, "theirs": theirs}[sys.argv[1]](sys.argv[2]))))
    elif find_spec("datadog_api_client") is None:
        sys.exit("datadog-api-client is not there to compare with: pip install datadog-api-client")
    else:
        main()
