"""The command that takes agents off the phones goes before everything else on the machine.

Whoever throws the switch may do so because the machine is busy with something that went wrong, and
loading a Python program then takes seconds of waiting for a turn. Nothing but the standard library
is loaded here, before anything else is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

URGENT = "kill-switch"


def go_first(arguments: Sequence[str]) -> bool:
    """Ask the system for a turn before other processes, if the command is that one.

    Root may, and so may whoever has ``RLIMIT_RTPRIO``; for others nothing changes. Whether it did.
    """
    if list(arguments[1:2]) != [URGENT]:
        return False
    with suppress(OSError, AttributeError):  # no such scheduler but on Linux
        lowest = os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
        os.sched_setscheduler(0, os.SCHED_RR, lowest)
        return True
    return False


def go_as_usual() -> None:
    """Take turns with other processes again: the urgent part is done."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
