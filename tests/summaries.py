"""Calls with something to tell, one for each golden file in `cases/summaries`.

`python -m tests.summaries` writes those files anew; the diff is then to be read.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from flakegate import render
from flakegate.apply import Applied
from flakegate.ci.context import CIContext
from flakegate.error_tracking.followups import Followed, FollowUp
from flakegate.error_tracking.issue import Case as IssueCase
from flakegate.error_tracking.issue import Issue, IssueState, Question, User
from flakegate.errors import BackendError, ExitCode
from flakegate.gate import Failure, Totals, Verdict
from flakegate.junit import Case, Outcome, Problem
from flakegate.model import FlakyTest, Identity, State, StateCause, Transition
from flakegate.policy.plan import Plan, Skip, Unknown
from flakegate.results import SHARED
from flakegate.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = Path(__file__).parent / "cases"
NOW = 1_796_040_000.0  # 30 November 2026, 12:00 UTC
DAY = 86_400.0
MAIN = CIContext(
    provider="github",
    repository="github.com/acme/shop",
    commit="a1b2c3d4e5f60718293a4b5c6d7e8f9001122334",
    branch="main",
    default_branch="main",
    run_id="77",
    job="unit",
    event="push",
    run_url="https://github.com/acme/shop/actions/runs/77",
)
PULL = replace(
    MAIN, branch="faster-cart", pull_request="12", event="pull_request", target_branch="main"
)
QUIET = Summary(
    exit_code=0,
    now=NOW,
    version="1.0.0",
    context=PULL,
    backend="store .flakegate/history.db",
    policy="flakegate.yml",
    keeps_history=True,
)


def load(name: str) -> str:
    """The source of a template of the package."""
    return (resources.files("flakegate") / "templates" / name).read_text()


def case(name: str | None, file: str | None = None, **given: object) -> Case:
    """A failing case as pytest writes it."""
    fields: dict[str, object] = {
        "suite": "pytest",
        "classname": file.removesuffix(".py").replace("/", ".") if file else None,
        "name": name,
        "file": file,
        "suite_file": None,
        "line": None,
        "outcome": Outcome.FAILURE,
        "duration": 0.2,
        "message": None,
        "earlier": (),
    }
    return Case(**(fields | given))  # type: ignore[arg-type] # the fields have these types


def flaky(name: str, state: State = State.QUARANTINED, **given: object) -> FlakyTest:
    """A flaky test as the store knows it."""
    fields: dict[str, object] = {
        "id": "5f2a" + name[:8],
        "module": "",
        "suite": "tests.net.test_http",
        "name": name,
        "state": state,
        "failure_rate": 27.0,
        "runs": 211,
        "failures": 57,
        "state_since": NOW - 9 * DAY,
        "cause": StateCause(at=NOW - 9 * DAY, rule="noisy"),
        "codeowners": (),
    }
    return FlakyTest(**(fields | given))  # type: ignore[arg-type] # the fields have these types


def failure(which: Case, reason: str, test: FlakyTest | None = None, detail: str = "") -> Failure:
    """What the gate says of a failing case."""
    return Failure(
        case=which,
        report="reports/unit.xml",
        identity=Identity(
            module="", suite=which.classname or "", name=which.name or "", source_file=""
        ),
        decision="excused" if reason in {"quarantined", "disabled"} else "blocked",
        reason=reason,
        test=test,
        detail=detail,
    )


RETRY = failure(
    case("test_retry[eu-west]", "tests/net/test_http.py", message="TimeoutError: 5 s"),
    "quarantined",
    flaky("test_retry[eu-west]"),
    "quarantined by rule noisy",
)
RACE = failure(
    case("test_race", "tests/core/test_queue.py"),
    "quarantined",
    flaky(
        "test_race",
        failure_rate=9.0,
        runs=198,
        state_since=NOW - 41 * DAY,
        cause=StateCause(at=NOW - 41 * DAY, actor="dana", reason="being rewritten"),
    ),
    "quarantined by dana",
)
TOTAL = failure(
    case(
        "test_total",
        "tests/checkout/test_cart.py",
        classname="tests.checkout.test_cart.TestCart",
        line=41,
        message=(
            "AssertionError: expected 42, got 41\n\n    def test_total(self):\n"
            ">       assert self.cart.total() == 42\nE       assert 41 == 42\n"
        ),
    ),
    "not-flaky",
    None,
    "not known to be flaky",
)
UPLOAD = failure(
    case("test_upload_large", "tests/checkout/test_upload.py", message="OSError: broken pipe"),
    "active",
    flaky(
        "test_upload_large",
        State.ACTIVE,
        suite="tests.checkout.test_upload",
        failure_rate=26.0,
        runs=31,
        codeowners=("@org/payments",),
    ),
    "its state is active: the policy has not quarantined it",
)
MOVES = tuple(
    Transition(
        test_id=name,
        fqn=f"tests.{name}",
        from_state=before,
        to_state=after,
        rule=rule,
        reason=reason,
    )
    for name, before, after, rule, reason in (
        ("net.test_upload_large", State.ACTIVE, State.QUARANTINED, "noisy",
         "failure_rate 26 % > 20 %, failed_pipelines 4 >= 3"),
        ("core.test_flush", State.ACTIVE, State.QUARANTINED, "noisy",
         "failure_rate 30 % > 20 %, lost_time 2 h 10 min > 2 h"),
        ("web.test_login_sso", State.QUARANTINED, State.ACTIVE, "recovered",
         "failure_rate 0 % < 5 %, last_flaked_age 15 d > 14 d"),
    )
)  # fmt: skip
PLAN = Plan(
    repository="github.com/acme/shop",
    backend="store",
    policy="flakegate.yml",
    policy_digest="0" * 64,
    at=NOW,
    transitions=MOVES,
    held=(),
    limits=(),
    skipped=(),
    tests=38,
    unknown=(),
)


def verdict(kind: str, *failures: Failure, evidence: tuple[Problem, ...] = ()) -> Verdict:
    """A verdict over 1,204 tests in 6 reports."""
    blocks = any(each.decision == "blocked" for each in failures)
    codes = {"pass": ExitCode.PASSED, "block": ExitCode.BLOCKED, "incomplete": ExitCode.INCOMPLETE}
    assert blocks or kind != "block"
    return Verdict(
        verdict=kind,
        code=codes[kind],
        exit_code=codes[kind],
        totals=Totals(
            tests=1_204,
            passed=1_204 - len(failures),
            failures=len(failures),
            errors=0,
            skipped=0,
            flaky=2 if failures else 0,
            reruns=2 if failures else 0,
            reports=6,
        ),
        failures=failures,
        evidence=evidence,
    )


def follow_up(change: Transition, query: str = 'service:"shop"', **given: object) -> FollowUp:
    """What follows a change: its issue is acknowledged and assigned."""
    fields: dict[str, object] = {
        "change": change,
        "test": flaky(change.test_id),
        "question": Question(query=query, since=0, until=1),
        "state": IssueState.ACKNOWLEDGED,
        "user": "87cb11a0-278c-440a-99fe-701223c80296",
        "owner": "@org/payments",
    }
    return FollowUp(**(fields | given))  # type: ignore[arg-type] # the fields have these types


UPLOADS = Issue(
    id="c1726a66-1f64-11ee-b338-da7ad0900002",
    state="ACKNOWLEDGED",
    service="shop",
    error_type="OSError",
    error_message="broken pipe\n  in upload",
    assignee=User(id="87cb11a0-278c-440a-99fe-701223c80296", name="Dana Field"),
    teams=("Payments", "Checkout"),
    case=IssueCase(
        id="c1",
        key="CASE-7",
        jira_key="PAY-12",
        jira_url="https://acme.atlassian.net/browse/PAY-12",
    ),
)
FOLLOWED = (
    Followed(
        follow_up=follow_up(MOVES[0]),
        issue=UPLOADS,
        page="https://app.datadoghq.eu/error-tracking/issue/c1726a66-1f64-11ee-b338-da7ad0900002",
        by="service and error",
        done=("OPEN → ACKNOWLEDGED", "assigned to Dana Field"),
    ),
    Followed(
        follow_up=follow_up(MOVES[1]),
        problem="2 issues could be its own, so none is touched",
    ),
    Followed(
        follow_up=follow_up(MOVES[2], state=IssueState.OPEN, user=None, owner=None),
        problem="POST https://api.datadoghq.eu/api/v2/error-tracking/issues/search: 403 Forbidden",
        failed=True,
    ),
)


def hostile_issue(text: str) -> Issue:
    """An issue that says this in every place."""
    return Issue(
        id=text,
        state=text,
        error_type=text,
        error_message=text,
        assignee=User(id=text, name=text),
        teams=(text,),
        case=IssueCase(id=text, key=text, jira_key=text, jira_url=text),
    )


HOSTILE = {
    path.stem: path.read_bytes().decode() for path in sorted((CASES / "hostile").glob("*.txt"))
}


def hostile(texts: Sequence[str]) -> Summary:
    """These texts at every place where a report's text can come to."""
    blocked = [
        failure(case(text, text, classname=text, message=text), "not-flaky", None, text)
        for text in texts
    ]
    excused = [
        failure(
            case(text, text, message=text),
            "quarantined",
            flaky(text, cause=StateCause(at=NOW, actor=text, reason=text), codeowners=(text,)),
            text,
        )
        for text in texts
    ]
    evidence = tuple(Problem(report=text, problem="truncated", detail=text) for text in texts)
    active = [failure(case("t"), "active", flaky(text, State.ACTIVE, suite=text)) for text in texts]
    moves = tuple(
        Transition(test_id=text, fqn=text, from_state=State.ACTIVE, to_state=State.QUARANTINED,
                   rule=text, reason=text, actor=text)
        for text in texts
    )  # fmt: skip
    return replace(
        QUIET,
        exit_code=1,
        backend=f"store {texts[0]}",
        policy=texts[-1],
        verdict=verdict("block", *blocked, *active, *excused, evidence=evidence),
        plan=replace(
            PLAN,
            transitions=moves,
            held=moves,
            limits=tuple(texts),
            skipped=tuple(
                Skip(test_id=text, fqn=text, reason="exempt", detail=text, rule=text)
                for text in texts
            ),
            unknown=tuple(Unknown(text, text, 3) for text in texts),
        ),
        not_applied=texts[0],
        followed=tuple(
            Followed(
                follow_up=follow_up(moves[0], query=text),
                issue=hostile_issue(text) if known else None,
                page=text,
                done=(text,) if known else (),
                problem=text,
            )
            for text in texts
            for known in (True, False)
            if len(texts) == 1  # all of them at once fill the page as it is
        ),
        recorded=texts[0],
        warnings=tuple(texts),
    )


SUMMARIES: dict[str, Summary] = {
    "green": replace(QUIET, verdict=verdict("pass"), recorded="1,204 results"),
    "excused": replace(QUIET, verdict=verdict("pass", RETRY, RACE), recorded="1,204 results"),
    "blocked": replace(
        QUIET,
        exit_code=1,
        verdict=verdict("block", RETRY, TOTAL, RACE),
        recorded="1,204 results",
        plan=replace(PLAN, transitions=MOVES[:1]),
        not_applied="this is the run of a pull or merge request",
        max_age=45 * DAY,
    ),
    "blocked-many-reasons": replace(
        QUIET,
        exit_code=1,
        context=MAIN,
        verdict=verdict(
            "block",
            TOTAL,
            UPLOAD,
            failure(
                case("adds an item", classname="Cart adds an item", suite="cart.test.js"),
                "ambiguous",
                None,
                f"it cannot be excused: {SHARED}",
            ),
        ),
    ),
    "changed": replace(
        QUIET,
        exit_code=1,
        verdict=verdict(
            "block",
            replace(
                RETRY,
                decision="blocked",
                reason="changed",
                detail="quarantined, but this change touches tests/net/test_http.py",
            ),
            replace(
                RACE,
                decision="blocked",
                reason="attempted-fix",
                detail="quarantined, but a commit of this change claims to fix it (DD_A1B2C3)",
            ),
        ),
    ),
    "snapshot": replace(
        QUIET,
        backend="datadog snapshot flaky.json",
        keeps_history=False,
        verdict=replace(verdict("pass", RETRY, RACE), snapshot=NOW - 3 * 3_600),
        warnings=("POST https://api.datadoghq.eu/api/v2/…: no answer in time (try again later)",),
    ),
    "observed": replace(QUIET, observe=True, verdict=verdict("block", TOTAL)),
    "incomplete": replace(
        QUIET,
        exit_code=3,
        verdict=verdict(
            "incomplete",
            RETRY,
            RACE,
            evidence=(
                Problem(
                    report="reports/unit-3.xml",
                    problem="truncated",
                    detail="reports/unit-3.xml:8812:5: it ends in the middle of a test case; the"
                    " run was probably killed (311 cases were read before that, 2 of them failing)",
                ),
                Problem(
                    report=None,
                    problem="killed",
                    detail="the test command ended by signal 9 (SIGKILL; often out of memory)",
                ),
            ),
        ),
    ),
    "unavailable": replace(
        QUIET,
        exit_code=4,
        backend="datadog datadoghq.eu",
        keeps_history=False,
        verdict=verdict(
            "block",
            replace(
                TOTAL,
                reason="unavailable",
                detail="the backend could not be asked whether it is a flaky test",
            ),
        ),
        warnings=("datadoghq.eu answers 503 Service Unavailable, 5 times in 31 s",),
    ),
    "planned": replace(
        QUIET,
        context=MAIN,
        plan=replace(
            PLAN,
            skipped=(
                Skip(
                    test_id="t1",
                    fqn="tests.checkout.test_pay",
                    reason="exempt",
                    detail="exempt: must block the merge",
                    rule="noisy",
                ),
                Skip(test_id="t2", fqn="tests.a", reason="exempt", detail="exempt", rule=None),
            ),
            unknown=(Unknown("noisy", "lost_time", 12),),
        ),
    ),
    "nothing-to-change": replace(QUIET, context=MAIN, plan=replace(PLAN, transitions=())),
    "applied": replace(QUIET, context=MAIN, plan=PLAN, applied=Applied(done=MOVES)),
    "followed": replace(
        QUIET,
        context=MAIN,
        backend="datadog datadoghq.eu",
        plan=PLAN,
        applied=Applied(done=MOVES),
        followed=FOLLOWED,
        warnings=("1 of 3 follow-ups in Error Tracking failed: 403 Forbidden",),
    ),
    "to-follow": replace(
        QUIET,
        context=MAIN,
        backend="datadog datadoghq.eu",
        plan=replace(PLAN, transitions=MOVES[:2]),
        followed=(
            Followed(follow_up=follow_up(MOVES[0]), planned=True),
            Followed(
                follow_up=follow_up(MOVES[1], question=None),
                planned=True,
                problem="its query needs a value that is not known: services",
            ),
        ),
    ),
    "partly-applied": replace(
        QUIET,
        exit_code=5,
        context=MAIN,
        backend="datadog datadoghq.eu",
        plan=PLAN,
        applied=Applied(
            done=MOVES[:1],
            failed=((MOVES[1], "404: no such flaky test"),),
            not_sent=MOVES[2:],
            error=BackendError("batch 2 of 2: 403 Forbidden: flaky_tests_write is missing"),
        ),
    ),
    "limit": replace(
        QUIET,
        exit_code=6,
        context=MAIN,
        plan=replace(
            PLAN,
            transitions=MOVES[2:],
            held=tuple(
                replace(MOVES[0], test_id=str(number), fqn=f"tests.net.test_{number}")
                for number in range(1, 31)
            ),
            limits=("max_changes: 30 moves into quarantined or disabled, 25 are allowed",),
        ),
        applied=Applied(done=MOVES[2:]),
    ),
    "many": replace(
        QUIET,
        exit_code=1,
        verdict=verdict(
            "block",
            *(
                failure(
                    case(f"test_{number}", f"tests/big/test_{number % 7}.py", message="x" * 3_000),
                    "not-flaky",
                    None,
                    "not known to be flaky",
                )
                for number in range(500)
            ),
        ),
    ),
    "hostile": hostile([*HOSTILE.values()]),
}


def main() -> None:
    """Writes the golden files."""
    for name, summary in SUMMARIES.items():
        folder = CASES / "summaries"
        (folder / f"{name}.md").write_text(render.markdown(summary, load))
        text = render.terminal(summary, load, colour=False, width=120)
        (folder / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    main()
