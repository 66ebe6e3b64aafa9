from __future__ import annotations

import pytest

from tests.matching.pairs import Run, runs, score

EVERYTHING = list({test.id: test for run in runs() for test in run.pool}.values())


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.name)
def test_no_real_case_is_taken_for_another_test(run: Run) -> None:
    scored = score(run, EVERYTHING)
    assert (scored.wrong, scored.lone, scored.unsafe) == (0, 0, 0)
