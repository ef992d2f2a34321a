"""What all error trees of the project share: a stable ``code``, and a message of one line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any


def code_of(error: BaseException) -> str:
    """The code of an error of ours; empty for anybody else's, which is a bug until it is known."""
    code = getattr(error, "code", "")
    return code if isinstance(code, str) else ""


def as_logged(error: Exception) -> dict[str, Any]:
    """Fields of a log line: the code of an error of ours; any other is a bug, and shown whole."""
    code = code_of(error)
    return {"code": code or "unexpected", "exc_info": None if code else error}


def exit_code_of_serving(program: str, serving: Coroutine[Any, Any, None]) -> int:
    """Serve to the end: 0, or 2 after an error of ours, which is one line on standard error.

    Raises:
        Exception: any other error; its traceback is wanted.
    """
    try:
        asyncio.run(serving)
    except Exception as error:
        if not code_of(error):
            raise
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    return 0
