"""The drill itself, small, over real lines: what it measures is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.drills.bench import running
from evals.drills.kill_switch import NEW_CALLS_AT_S, _switch_off, _take_over
from telephony.settings import GatewaySettings
from telephony.switch_file import SwitchFile

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(180)]


@pytest.mark.parametrize("number", [0, 1], ids=["from listening", "from nothing"])
async def test_a_caller_hears_the_supervisor_who_takes_over_from_a_browser(
    tmp_path: Path, number: int
) -> None:
    async with running(GatewaySettings(), tmp_path) as bench:
        taken = await _take_over(bench, number)
        assert taken.heard_after_ms is not None
        assert taken.clicks == 0


async def test_with_every_agent_stopped_live_and_new_callers_are_told_and_none_is_dropped(
    tmp_path: Path,
) -> None:
    async with running(GatewaySettings(), tmp_path) as bench:
        live, new, dropped = await _switch_off(bench, 2)
        assert None not in live
        assert len(new) == len(NEW_CALLS_AT_S)
        assert None not in new
        assert dropped == 0
        (switch,) = SwitchFile(bench.switch).read().switches
        assert (switch.on, switch.reason) == (True, "drill")
