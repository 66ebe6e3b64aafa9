"""Over the server flakegate plans, lists, judges and changes as with the store itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.backends.store.build import DAY, NOW, key_of, open_store, run
from tests.cli.reports import write
from tests.server.running import TIME, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Caller, Done
    from tests.server.running import Running

POLICY = """\
version: 1
limits: {max_changes: 100}
exempt: [{when: name == "test_9", reason: it must block}]
reports: [{paths: "*.xml", suite: "{classname}", name: "{name}"}]
rules:
  - {id: worst, to: disabled, when: failure_rate >= 50% and failed_pipelines > 2}
  - {id: noisy, to: quarantined, when: failure_rate > 20% or error_message =~ "*8 broke"}
  - id: back
    from: quarantined
    to: active
    when: [failure_rate < 10%, state_age >= 0s, name != "test_8"]
"""
CASE = '<testcase classname="tests.test_shop" name="{}" file="tests/test_shop.py"{}>{}</testcase>'
TESTS = range(2, 12)


@pytest.fixture
def store(folder: Path) -> Path:
    """In every n-th of 12 runs test_n failed, and then passed."""
    write(folder, "flakegate.yml", POLICY)
    failed = {3, 5, 12}
    for name, reds in (("one", {3}), ("more", failed), ("none", set())):
        cases = "".join(
            CASE.format(f"test_{n}", "", '<failure message="x"/>' if n in reds else "")
            for n in TESTS
        )
        text = f'<testsuite name="pytest" tests="{len(TESTS)}">{cases}</testsuite>'
        write(folder, f"{name}.xml", text)
    store = open_store(folder)
    store.record(
        [
            run(
                at,
                NOW - (13 - at) * DAY / 2,
                **{f"test_{n}": "fp" if at % n == 0 else "p" for n in TESTS},
            )
            for at in range(1, 13)
        ]
    )
    return folder / "history.db"


class Both:
    """The same call, once with the store itself and once over the server."""

    def __init__(self, flakegate: Caller, store: Path, server: Running) -> None:
        self._flakegate = flakegate
        self._env = {
            "FLAKEGATE_TIME": TIME,
            "DD_API_KEY": server.keys["DD-API-KEY"],
            "DD_APP_KEY": server.keys["DD-APPLICATION-KEY"],
        }
        self._direct = ("--backend", "store", "--store", f"sqlite:///{store}")
        self._served = ("--backend", "datadog", "--api-url", server.url)

    def served(self, *arguments: str, code: int = 0) -> Any:
        return self._told(self._flakegate(*arguments, *self._served, **self._env), code)

    def direct(self, *arguments: str, code: int = 0) -> Any:
        return self._told(self._flakegate(*arguments, *self._direct, **self._env), code)

    def __call__(self, *arguments: str, code: int = 0) -> tuple[Any, Any]:
        return self.direct(*arguments, code=code), self.served(*arguments, code=code)

    @staticmethod
    def _told(done: Done, code: int) -> Any:
        assert done.code == code, done.err + done.out
        return json.loads(done.out) if done.out.startswith("{") else done.out


@pytest.fixture
def both(flakegate: Caller, store: Path) -> Iterator[Both]:
    arguments = ("keys", "add", "bot", "--write", "--format", "json")
    pair = json.loads(flakegate(*arguments, "--store", f"sqlite:///{store}").out)
    with serving(store) as server:
        server.keys = {"DD-API-KEY": pair["api_key"], "DD-APPLICATION-KEY": pair["app_key"]}
        yield Both(flakegate, store, server)


def moves(plan: Any) -> list[tuple[str, ...]]:
    kept = ("id", "test_id", "fqn", "from", "to", "from_state", "to_state", "rule")
    return sorted(
        tuple(str(each[name]) for name in kept if name in each) for each in plan["transitions"]
    )


def test_the_same_tests_are_listed(both: Both) -> None:
    direct, served = both("list", "--format", "json")
    known = {"id", "suite", "name", "fqn", "state", "failure_rate", "failed_pipelines", "duration"}
    known |= {"error_message", "source_file", "first_flaked_branch", "last_flaked_branch"}
    assert len(direct["tests"]) == len(TESTS)
    assert [{name: test[name] for name in known} for test in direct["tests"]] == [
        {name: test[name] for name in known} for test in served["tests"]
    ]


def test_the_same_plan_is_made_and_carried_out(both: Both) -> None:
    direct, served = both("plan", "--format", "json")
    assert len(moves(direct)) > 2
    assert moves(direct) == moves(served)
    both.served("apply")
    before, after = both("plan", "--format", "json")
    assert moves(before) == moves(after) == []


@pytest.mark.parametrize(("report", "code"), [("one.xml", 0), ("more.xml", 1), ("none.xml", 0)])
def test_the_same_verdict_is_given(both: Both, report: str, code: int) -> None:
    both.served("set", key_of("test_3"), "quarantined", "--reason", "it hangs")
    direct, served = both("gate", report, "--format", "json", code=code)
    served.pop("reports", None)  # by which framework's words the cases were looked for
    assert direct == served


def test_a_test_is_explained_alike(both: Both) -> None:
    both.served("set", key_of("test_2"), "quarantined", "--reason", "it hangs")
    direct, served = both("explain", "test_2", "--format", "json")
    for rule in (*direct["rules"], *served["rules"]):
        for clause in rule["clauses"]:
            del clause["origin"]
    assert direct["rules"] == served["rules"]
    assert [rule["applies"] for rule in served["rules"]] == [True, False, True]
