"""Reports of any reporter: the policy says by templates what Datadog's suite and name are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.matching.candidate import Candidate, Reading
from flakegate.matching.javascript import attribute, below

if TYPE_CHECKING:
    from flakegate.junit import Case
    from flakegate.matching.candidate import Checkout
    from flakegate.policy.rules import ReportSettings

# The tracer's module where it is the same for all tests of a framework.
_MODULES = {"jest": "jest", "mocha": "mocha", "vitest": "vitest"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def read(case: Case, settings: ReportSettings, checkout: Checkout) -> Reading:
    """What a case can be by `reports[].suite` and `reports[].name`, one of which is given.

    Its file must agree as far as the report tells it.
    """
    written = {
        "suite": case.suite,
        "classname": case.classname,
        "name": case.name,
        "file": case.file or case.suite_file,
    }
    texts = {}
    for key, template in (("suite", settings.suite), ("name", settings.name)):
        wanted = template or {"suite": "{classname}", "name": "{name}"}[key]
        missing = [each for each in _PLACEHOLDER.findall(wanted) if written[each] is None]
        if missing:
            return Reading(refusal=f"it has no {missing[0]}, which reports[].{key} asks for")
        texts[key] = _PLACEHOLDER.sub(lambda found: written[found[1]] or "", wanted)
    path = ".+"
    if written["file"] is not None:
        placed, refusal = below(written["file"], checkout)
        if placed is None:
            return Reading(refusal=refusal)
        path = re.escape(placed)
    candidate = Candidate(
        module=_MODULES.get(settings.framework or ""),
        suite=texts["suite"],
        name=attribute(texts["name"]),
        base_dir=checkout.base_dir,
        path=path,
        spelled=attribute,
    )
    return Reading(candidates=(candidate,))
