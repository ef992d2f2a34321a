"""Entry point of the gateway: takes legs from the lines, runs calls, drains.

Lines call ``Gateway.take`` with every incoming leg; the gateway calls ``dial`` to ring people.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from telephony.call import Leg
from telephony.settings import GatewaySettings

Dial: TypeAlias = Callable[[str, dict[str, str]], Awaitable[Leg]]
"""``(sip_uri, extra_headers) -> leg`` in ``RINGING``; raises ``DialFailed`` when it cannot ring."""


class Gateway:
    """Every live call of this process."""

    def __init__(self, settings: GatewaySettings, *, dial: Dial | None = None) -> None:
        self.settings = settings
        self.dial = dial

    @property
    def live_calls(self) -> int:
        """Calls that hold a leg right now."""
        return 0

    @property
    def ready(self) -> bool:
        """True while further calls are taken: what ``/readyz`` tells."""
        return True

    async def take(self, leg: Leg) -> None:
        """Run one incoming leg (``RINGING``) to its end; refuses it when full or draining.

        Never raises: the leg has ended when this returns.
        """
        raise NotImplementedError

    async def drain(self) -> None:
        """Take no further calls and wait until the live ones have ended."""
        raise NotImplementedError


def run(settings: GatewaySettings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; the process's exit code (0, 1 or 2)."""
    raise NotImplementedError
