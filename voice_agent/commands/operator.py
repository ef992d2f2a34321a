"""Who gives a command: the system's own word for it, which no variable of a shell can change."""

from __future__ import annotations

import os
import pwd

_LONGEST_CLAIM = 40


def operator() -> str:
    """The account that runs this, and, as far as `sudo` tells, who became it."""
    account = os.getuid()
    try:
        name = pwd.getpwuid(account).pw_name
    except KeyError:  # a container's user without a name
        name = f"uid {account}"
    became = os.environ.get("SUDO_USER", "")
    if not became or became == name:
        return name
    return f"{name} (sudo by {became[:_LONGEST_CLAIM]})"
