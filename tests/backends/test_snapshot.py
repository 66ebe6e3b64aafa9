"""A snapshot as a backend: it answers, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flakegate.backends.snapshot import Saved
from flakegate.errors import BackendError
from flakegate.identity import test_id as id_of
from flakegate.model import FlakyTest, Identity, State, StateCause
from flakegate.policy.needs import whole
from flakegate.snapshot import Snapshot

if TYPE_CHECKING:
    from flakegate.backends.base import Backend

SHOP = "github.com/acme/shop"
NAMED = Identity(module="", suite="s", name="n", source_file="a.py")
OTHER = Identity(module="", suite="s", name="n", source_file="b.py")
TEST = FlakyTest(
    id=id_of(SHOP, NAMED),
    module="",
    suite="s",
    name="n",
    state=State.QUARANTINED,
    source_file="a.py",
    cause=StateCause(at=1.0, actor="dana"),
)
FIXED = FlakyTest(id="0", module="", suite="t", name="m", state=State.FIXED)


def saved(kind: str = "store") -> Backend:
    tests = (TEST, FIXED)
    return Saved(Snapshot(repository=SHOP, backend=kind, taken_at=0.0, tests=tests), "snapshot s")


def test_it_finds_what_its_backend_would_find() -> None:
    assert saved().find([NAMED, OTHER]) == {NAMED: TEST}
    assert saved("datadog").find([NAMED]) == {}
    assert [saved().by_identity, saved("datadog").by_identity] == [True, False]
    assert {test.id for test in saved("datadog").in_suites([])} == {TEST.id, FIXED.id}


def test_it_lists_its_tests_by_id() -> None:
    assert saved().search(whole()) == [FIXED, TEST]
    assert saved().search(whole([State.FIXED])) == [FIXED]


def test_it_changes_nothing_and_knows_nothing_else() -> None:
    with pytest.raises(BackendError, match="cannot be changed"):
        saved().update([])
    backend = saved()
    assert backend.last_changes([TEST, FIXED]) == {TEST.id: TEST.cause}
    assert (backend.own_rules(), backend.recorded(), backend.history("0")) == ((), {}, None)
    assert (backend.suite_size(), backend.recent_changes(0.0)) == (None, None)
    backend.close()
