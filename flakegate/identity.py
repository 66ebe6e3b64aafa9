"""Which test a case is. Exact or refused: a wrong match would excuse somebody's regression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flakegate.model import Identity

if TYPE_CHECKING:
    from flakegate.junit import Case

_ID_DIGITS = 24  # 96 bits: no collision to be expected among 10**12 tests

# What reporters write where no test failed but what stands around the tests.
_MOCHA_HOOK = re.compile(r'"(?:before|after) (?:all|each)" hook\b')
_WHOLE_CLASS = frozenset({"initializationError", "executionError", "classMethod", "TestMain"})


def identify(case: Case, base_dir: str) -> Identity:
    """The identity of a case as the store keeps it; empty texts where `refusal` says why."""
    return Identity(
        module=base_dir,
        suite=case.classname or case.suite or "",
        name=case.name or "",
        source_file=case.file or "",
    )


def base_folder(path: str) -> str | None:
    """A folder of the repository, always written the same: `./a//b/` is `a/b`, the root is "".

    None if it is not a relative path, with `/`, that stays in the repository.
    """
    absolute = path.startswith("/") or path[1:2] == ":"
    if absolute or "\\" in path or ".." in path.split("/") or not path.isprintable():
        return None
    return "/".join(part for part in path.strip().split("/") if part not in ("", "."))


def refusal(case: Case, writer: str | None = None) -> str | None:
    """Why a case cannot be told from others by its names, in words; None if it can.

    A failure of a collection or of a hook is no test's: excusing it would excuse every test that
    did not run because of it. writer: what is proven to have written the report, see Report.
    """
    if not case.name:
        return "it has no name"
    if not (case.classname or case.suite):
        return "neither it nor its suite has a name to tell it from others"
    return _not_a_test(case, case.name, writer) if case.outcome.failing else None


def _not_a_test(case: Case, name: str, writer: str | None) -> str | None:
    if case.classname == "" and (case.message or "").startswith("collection failure"):
        return "the collection of tests failed, and no test has that name"
    if "Test suite failed to run" in (name, case.classname):
        return "a whole test file failed to run, and no test has that name"
    if name.lstrip().startswith("Test execution failure") or _MOCHA_HOOK.search(name):
        return "a hook failed, not one test"
    if name in _WHOLE_CLASS:
        return "what surrounds a whole class or package of tests failed, not one test"
    # In pytest that is a doctest: where a file fails as a whole, it leaves the classname empty.
    whole = name in (case.classname, case.file) and ("/" in name or "." in name)
    if whole and " " not in name and writer != "pytest":
        return "the case is named as its file or class, which failed as a whole"
    return None


def test_id(repository: str, identity: Identity) -> str:
    """The id of a test in the store: 24 hex digits of a SHA-256 over repository and identity.

    Every part is preceded by its length, so that no two identities are written the same.
    """
    import hashlib

    parts = (repository, identity.module, identity.suite, identity.name, identity.source_file)
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    written = b"".join(b"%d:%b" % (len(part), part) for part in encoded)
    return hashlib.sha256(written).hexdigest()[:_ID_DIGITS]
