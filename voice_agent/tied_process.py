"""Run a command that cannot outlive the process that started it.

``python -m voice_agent.tied_process COMMAND…`` asks Linux to send SIGTERM when the parent dies,
even by SIGKILL, then becomes COMMAND: the request survives ``execve`` (prctl(2),
PR_SET_PDEATHSIG). A supervisor that is killed outright so leaves no orphans behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie_to_parent(parent_pid: int) -> None:
    """Die by SIGTERM when the parent does; at once if it is gone already.

    Raises:
        OSError: the kernel refuses (not Linux).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Become the command given on the command line."""
    if len(sys.argv) < 2:
        print("usage: python -m voice_agent.tied_process COMMAND [ARGUMENT]...", file=sys.stderr)
        sys.exit(2)
    tie_to_parent(os.getppid())
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # becoming the command is the point


if __name__ == "__main__":
    main()
