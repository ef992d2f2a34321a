"""From the bytes of a file to documents in Markdown; hostile formats in a process of their own."""

from voice_agent.knowledge.parsing.parsed import Limits, Parsed
from voice_agent.knowledge.parsing.parser import Parser, parse

__all__ = ["Limits", "Parsed", "Parser", "parse"]
