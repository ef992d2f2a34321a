"""Which parser reads a file; see `Parser.parse`."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from voice_agent.knowledge.parsing.parsed import Limits, Parsed
from voice_agent.knowledge.sources.fetched import Fetched


class Parser:
    """Parses many files; PDF, DOCX and HTML in one guarded process that lives as long as it does.

    Use it in a `with` statement, or close it.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def parse(self, fetched: Fetched) -> Parsed:
        """The documents of one fetched file.

        Raises:
            DocumentRefused: nothing of it can be used; the reason is one line.
        """
        raise NotImplementedError(fetched.uri)

    def close(self) -> None:
        """End the guarded process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def parse(fetched: Fetched, limits: Limits | None = None) -> Parsed:
    """Parse one file; a `Parser` that is kept open is quicker for many.

    Raises:
        DocumentRefused: nothing of it can be used.
    """
    with Parser(limits) as parser:
        return parser.parse(fetched)
