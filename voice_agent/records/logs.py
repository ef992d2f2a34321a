"""One stream of logs on standard error, whoever writes them: structlog, the standard library, or
loguru (which pipecat uses). Personal data lives under the key ``pii`` and is dropped unless the
settings keep it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import structlog
from loguru import logger as loguru_logger

from voice_agent.config import LoggingSettings
from voice_agent.safety.masking import mask_identifiers, mask_within
from voice_agent.safety.personal_data_kinds import Kind
from voice_agent.safety.policy import default_policy

if TYPE_CHECKING:
    from loguru import Message

_NOISY = (
    "aiohttp.access",
    "httpx",
    "httpx2",
    "httpcore",
    "aioice",
    "urllib3",
    "websockets",
    "faster_whisper",
)
"""Libraries that log every request or packet at ``info``."""


def _drop_pii(
    _: structlog.types.WrappedLogger, __: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    event.pop("pii", None)
    return event


_UNREAD = frozenset({"timestamp", "level", "logger", "call_id", "turn_id"})


class _Masking:
    """Takes personal data with a form of its own out of every line, whoever wrote it."""

    def __init__(self, kinds: Collection[Kind]) -> None:
        self._mask = mask_identifiers(kinds)

    def __call__(
        self, _: structlog.types.WrappedLogger, __: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        return {
            key: value if key in _UNREAD else mask_within(value, self._mask)
            for key, value in event.items()
        }


def _from_loguru(message: Message) -> None:
    record = message.record
    error = record["exception"]
    logging.getLogger(record["name"] or "loguru").log(
        record["level"].no,
        "%s",
        record["message"],
        exc_info=(error.type, error.value, error.traceback)  # type: ignore[arg-type]
        if error is not None and error.type is not None
        else None,
    )


def configure(settings: LoggingSettings) -> None:
    """Route everything to standard error in ``settings.format``. Safe to call again."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not settings.pii:
        shared.append(_drop_pii)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    masking = _Masking(default_policy().mask.logs)
    last: list[Any]
    if settings.format == "json":
        last = [
            structlog.processors.format_exc_info,
            masking,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        last = [masking, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=("pii",)), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    loguru_logger.remove()
    # pipecat puts transcripts and prompts into its debug lines, outside any `pii` key
    least = level if settings.pii else max(level, logging.WARNING)
    loguru_logger.add(_from_loguru, level=least, format="{message}", catch=True)
