"""Java, by what surefire, Gradle and dd-trace-java document: class and method.

Nothing but class and method is in a report, so the test's file must lie where the class belongs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.matching.candidate import Candidate, Checkout, Reading

if TYPE_CHECKING:
    from flakegate.junit import Case

CLASS = re.compile(r"(?:[\w$]+\.)*[A-Z$][\w$]*")
# `m`, `m()`, `m(int)`, `m(int)[1]`, `m{int}[1]`, `m[1]`: several of one method are one test.
_METHOD = re.compile(r"((?!\d)[\w$]+)(?:\([^()]*\)|\{[^{}]*\})?(?:\[[^\[\]]*\])?")
_LANGUAGES = "java|kotlin|groovy|scala"
_ENDINGS = "java|kt|groovy|scala"


def read(case: Case, checkout: Checkout) -> Reading:
    """What a case of surefire or Gradle can be. The tracer's module is not in any report."""
    name, classname = case.name or "", case.classname or ""
    method = _METHOD.fullmatch(name)
    if CLASS.fullmatch(classname) is None:
        return Reading(refusal="its classname is not the full name of a class")
    if method is None:
        return Reading(
            refusal="its name is a display name, not that of a method; let the reporter write"
            " method names (surefire: usePhrasedTestCaseMethodName=false)"
        )
    package, _, name_of_class = classname.rpartition(".")
    folders = "".join(f"{re.escape(part)}/" for part in package.split(".") if part)
    outermost = re.escape(name_of_class.partition("$")[0] or name_of_class)
    candidate = Candidate(
        module=None,
        suite=classname,
        name=method[1],
        base_dir=checkout.base_dir,
        path=rf"src/[^/]+/(?:{_LANGUAGES})/{folders}{outermost}\.(?:{_ENDINGS})",
    )
    return Reading(candidates=(candidate,))
