"""What the language model answers to a set of questions, asked once and kept.

At temperature 0 the same prompt has the same answer, so answers are kept by the hash of what was
asked; a server is started on a free port only when one is missing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from evals.trust.part import Tell
from voice_agent.answering.chat_protocol import Message, Token
from voice_agent.answering.language_model import LanguageModel
from voice_agent.config import Settings

KEPT = Path("var/trust/answers.json")
_SAVE_EVERY = 10
_READING_THREADS = 2


def model_answers(
    settings: Settings,
    asked: Mapping[str, Sequence[Message]],
    tell: Tell,
    *,
    max_tokens: int | None = None,
    kept: Path = KEPT,
) -> dict[str, str]:
    """The answer to each of the named prompts.

    Raises:
        EnginesError, ModelsError: the model cannot be served on this machine.
        LanguageModelError: it does not answer.
    """
    known: dict[str, str] = json.loads(kept.read_text()) if kept.is_file() else {}
    name = settings.answering.model.model_file
    keys = {each: _key(name, messages, max_tokens) for each, messages in asked.items()}
    missing = {keys[each]: asked[each] for each in asked if keys[each] not in known}
    if missing:
        _ask(settings, missing, known, tell, max_tokens, kept)
    return {each: known[key] for each, key in keys.items()}


def _key(model: str, messages: Sequence[Message], max_tokens: int | None) -> str:
    written = json.dumps([model, list(messages), max_tokens], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:20]


def _ask(
    settings: Settings,
    missing: Mapping[str, Sequence[Message]],
    known: dict[str, str],
    tell: Tell,
    max_tokens: int | None,
    kept: Path,
) -> None:
    from evals.latency.engines_serving import Name, Tuning, available, running

    engine: Name = "native" if "native" in available() else "wheel"
    with running(engine, settings, Tuning(_READING_THREADS, _READING_THREADS)) as served:
        asyncio.run(
            _ask_all(LanguageModel(served.settings), missing, known, tell, max_tokens, kept)
        )


async def _ask_all(
    model: LanguageModel,
    missing: Mapping[str, Sequence[Message]],
    known: dict[str, str],
    tell: Tell,
    max_tokens: int | None,
    kept: Path,
) -> None:
    try:
        for number, (key, messages) in enumerate(missing.items(), start=1):
            words = ""
            async with aclosing(model.stream(messages, max_tokens=max_tokens)) as items:
                async for item in items:
                    words += item.text if isinstance(item, Token) else ""
            known[key] = words.strip()
            if number % _SAVE_EVERY == 0 or number == len(missing):
                _save(known, kept)
                tell(f"asked the model {number} of {len(missing)}")
    finally:
        await model.close()


def _save(known: Mapping[str, str], kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    writing = kept.with_suffix(".writing")
    writing.write_text(json.dumps(known, ensure_ascii=False, indent=1), encoding="utf-8")
    writing.replace(kept)
