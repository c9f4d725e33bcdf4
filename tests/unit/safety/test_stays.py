"""A run whose traffic mostly wants to leave ends, and says where it would have gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.errors import ExitCode, UnsafeTarget
from perfhunt.safety.stays import require_cleared
from tests.unit.trials import HELD

AWAY = replace(HELD.generator, refused={"login.example:443": 700})


def test_requests_that_mostly_lead_elsewhere_end_the_run_with_93() -> None:
    trial = replace(HELD, outcomes={"ok": HELD.n - 700, "not_cleared": 700}, generator=AWAY)
    with pytest.raises(
        UnsafeTarget, match=r"700 of \d+ requests lead to login\.example:443"
    ) as end:
        require_cleared(trial)
    assert end.value.exit_code is ExitCode.UNSAFE_TARGET
    assert "allow_hosts" in end.value.hint


@pytest.mark.parametrize("away", [0, 30])
def test_a_few_are_failures_and_no_end(away: int) -> None:
    require_cleared(replace(HELD, outcomes={"ok": HELD.n - away, "not_cleared": away}))
