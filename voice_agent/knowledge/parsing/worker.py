"""The guarded process that reads hostile formats: `python -m voice_agent.knowledge.parsing.worker`.

It is told its limits on the command line, puts them on itself before it reads a byte, and can
neither write files nor grow. Requests come on standard input, answers go to standard output; both
are a length of four bytes and JSON, a request followed by the file. It ends with its input.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from voice_agent.knowledge.parsing.extracted import Extracted, Unreadable
from voice_agent.knowledge.parsing.parsed import Limits

_DEPTH = 20_000  # converters recurse; how deep a page may be is bounded by libxml2
_NEARLY_ALL = 0.6  # of the memory allowed; addresses run out before it is filled


def _read(kind: str, content: bytes, told: dict[str, Any], limits: Limits) -> Extracted:
    if kind == "pdf":
        from voice_agent.knowledge.parsing.pdf import read_pdf

        return read_pdf(content, limits)
    if kind == "docx":
        from voice_agent.knowledge.parsing.docx import read_docx

        return read_docx(content, limits)
    if kind == "html":
        from voice_agent.knowledge.parsing.html import read_html

        return read_html(content, str(told.get("charset", "")))
    from voice_agent.knowledge.parsing.markup import read_markup

    return Extracted(read_markup(content, bool(told.get("markdown"))))


def _answer(kind: str, content: bytes, told: dict[str, Any], limits: Limits) -> dict[str, Any]:
    try:
        return {"extracted": asdict(_read(kind, content, told, limits))}
    except Unreadable as error:
        return {"refused": str(error)}
    except RecursionError:
        return {"refused": "nested too deeply"}
    except Exception as error:  # a library met something it was not written for
        most = limits.max_memory_bytes
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > _NEARLY_ALL * most
        if grown or isinstance(error, MemoryError):  # libxml2 has other names for it
            return {"refused": f"needs more than {most // 1_000_000} MB to read", "spent": True}
        reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
        return {"refused": f"damaged: {reason}"}


def _bound(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory_bytes, limits.max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.setrecursionlimit(_DEPTH)


def _bound_cpu(seconds: float) -> None:
    """End the process if this file takes so long, even when nobody is left to end it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(usage.ru_utime + usage.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


def serve(requests: BinaryIO, answers: BinaryIO, limits: Limits) -> None:
    """Answer requests until their stream ends."""
    while True:
        try:
            (length,) = struct.unpack(">I", _exactly(requests, 4))
            told = json.loads(_exactly(requests, length))
            content = _exactly(requests, int(told["bytes"]))
        except EOFError:
            return
        _bound_cpu(limits.max_seconds)
        answer = json.dumps(_answer(str(told["kind"]), content, told, limits)).encode()
        answers.write(struct.pack(">I", len(answer)) + answer)
        answers.flush()


def main() -> None:
    """Take the two streams, so that no library can write into the answers, and serve."""
    limits = Limits(**json.loads(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _bound(limits)
    serve(sys.stdin.buffer, answers, limits)


if __name__ == "__main__":
    main()
