"""Go, by what gotestsum and the Go tracer document: package and test function.

The file is not in a report: a package has one function of a name, and its file lies in its folder.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.matching.candidate import Candidate, Checkout, Reading

if TYPE_CHECKING:
    from flakegate.junit import Case

FUNCTION = re.compile(r"(?:Test|Example|Fuzz)(?![a-z])\w*(?:/.*)?", re.DOTALL)
MAX_PARTS = 64


def read(case: Case, checkout: Checkout) -> Reading:
    """What a case of gotestsum can be."""
    name, package = case.name or "", case.classname or ""
    parts = package.split("/")
    if case.suite != package or len(parts) > MAX_PARTS:
        return Reading(
            refusal="its classname is not the whole path of its package; leave gotestsum's"
            " --junitfile-testcase-classname and --junitfile-testsuite-name at full"
        )
    if FUNCTION.fullmatch(name) is None:
        return Reading(refusal="its name is not that of a test function")
    folders = ["/".join(parts[at:]) + "/" for at in range(len(parts))]
    candidate = Candidate(
        module=package,
        suite=None,
        name=name,
        base_dir=checkout.base_dir,
        path=rf"(?:{'|'.join(map(re.escape, folders))})?[^/]+_test\.go",
    )
    return Reading(candidates=(candidate,))
