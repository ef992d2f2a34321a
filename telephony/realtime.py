"""The gateway's turn on a busy processor.

What a late turn holds up stays in the SIP stack as delay for the rest of a call, and past its
buffer it is a gap. Speech recognition and the language model on the same cores make turns late; a
real-time priority (``sched(7)``) puts them first. The gateway uses little of a core, and the kernel
keeps a share for the others whatever happens.
"""

from __future__ import annotations

import os

import structlog

log = structlog.get_logger(__name__)


def ask_for_priority() -> bool:
    """Put this process, and the threads it starts from now on, before ordinary ones.

    False, with a line in the log, where the system does not allow it: root may, and so may whoever
    has ``RLIMIT_RTPRIO`` (``LimitRTPRIO=1`` in a systemd unit, ``--ulimit rtprio=1`` in Docker).
    """
    try:
        os.sched_setscheduler(
            0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
        )
    except (OSError, AttributeError) as error:  # no such scheduler but on Linux
        log.info("realtime_priority_not_allowed", reason=str(error))
        return False
    return True
