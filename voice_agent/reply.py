"""A reply on its way: from the caller's words to what the caller heard of the answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from voice_agent.knowledge.passages import Passage
    from voice_agent.knowledge.search import Retrieval


class Road(StrEnum):
    """What is done with a request."""

    VERIFIED = "verified"
    ANSWER = "answer"
    ACTION = "action"
    SMALL_TALK = "small_talk"
    CLARIFY = "clarify"
    PERSON = "person"
    OUT_OF_SCOPE = "out_of_scope"
    GOODBYE = "goodbye"
    REPEAT = "repeat"
    HELLO = "hello"
    THANKS = "thanks"
    QUOTE = "quote"
    DECLINE = "decline"
    LANGUAGE = "language"
    UNCLEAR = "unclear"
    PHRASE = "phrase"
    REFUSE = "refuse"
    """A guard stopped the request, or the answer."""
    FAILED = "failed"


class AfterReply(StrEnum):
    """What happens once a reply has been heard."""

    LISTEN = "listen"
    TRANSFER = "transfer"
    HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True)
class RoadChoice:
    """What the router decided about a request before anything was generated.

    ``confidence`` is the calibrated probability, 0 to 1, that ``road`` is right; 1 and no
    ``runner_up`` when a rule decided. ``name`` is the group of examples it is like: which approved
    text, which action, why a person. ``because`` says what decided: ``rule``, ``words`` (that
    always lead to a person), ``examples``, ``doubt`` (the likeliest road was not sure enough) or
    ``late`` (no embedding in time).
    """

    road: Road
    confidence: float = 1.0
    runner_up: Road | None = None
    name: str = ""
    says: str = ""
    because: Literal["rule", "words", "examples", "doubt", "late"] = "rule"
    took_ms: float = 0.0


CONSENT = "recording_consent"
"""The ``name`` of the choice where a caller said whether they may be recorded, when asked."""


@dataclass(slots=True)
class Clause:
    """A piece of a reply, synthesised and played as one. ``text`` is how it is written."""

    text: str
    passage_ids: tuple[str, ...] = ()
    audio: bytes = b""
    fixed: bool = False
    """A known sentence, kept as sound: it can be said when nothing else can."""
    complete: bool = False
    """All of its audio is there."""
    because: str = ""
    """Why it may be spoken: it follows, is quoted, or stands for what does not ("instead: ...")."""

    @property
    def duration_ms(self) -> int:
        """Length of the audio so far."""
        return len(self.audio) // 32


EndReason = Literal["", "completed", "interrupted", "dropped", "failed", "hung_up", "transferred"]


@dataclass(slots=True)
class Reply:
    """One reply, speculative until ``committed``. Carried by reference through the stages.

    ``marks`` holds wall-clock times (``time.perf_counter`` seconds) of what happened when; the
    stages write them and ``stages_ms`` reads them.
    """

    reply_id: int
    turn_id: str
    question: str
    language: str = "en"
    road: Road = Road.ANSWER
    choice: RoadChoice | None = None
    """What the router decided; ``road`` is how the reply came about in the end."""
    hard: bool = False
    """Worth asking the larger language model about, where two are configured."""
    after: AfterReply = AfterReply.LISTEN
    fixed_text: str = ""
    """A known sentence to say instead of a generated answer."""
    speech_end_ms: int = 0
    """Audio time of the caller's last voiced sample."""
    speech_end: float = 0.0
    """Wall-clock time at which it arrived."""
    silence_ms: int = 0
    silence_enough: float = 0.0
    """Wall-clock time at which the caller's silence had lasted long enough to end the turn."""
    heard_from_ms: int | None = None
    """Audio time at which the first sample of the reply left the gateway."""
    interims: int = 0
    speculations_dropped: int = 0
    transcribe_ms: float = 0.0
    retrieval: Retrieval | None = None
    read: tuple[Passage, ...] = ()
    """The passages the model is given: those it has read already, when they will do."""
    prepared_passages: bool | None = None
    """Whether the passages prepared while the caller spoke were the ones used."""
    keys: str = field(default="", repr=False)
    """Digits keyed in that ``question`` must not hold: a PIN, a code. Never recorded."""
    brief: str = ""
    """What a person who takes over should know, where more is known than was said."""
    handoff: str = ""
    """Why a person takes over, as a code, where the stage that decided it knows."""
    filler: Clause | None = None
    """Said before the first clause because that is late."""
    clauses: list[Clause] = field(default_factory=list)
    model: str = ""
    prompt_id: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    turn_over: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False
    written: bool = False
    """No further clauses will come."""
    failure: str = ""
    end_reason: EndReason = ""
    heard: str = ""
    """What the caller heard of it, word by word."""
    marks: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The reply as written so far."""
        return " ".join(clause.text for clause in self.clauses)

    @property
    def sayings(self) -> list[Clause]:
        """All that is said, in order: the filler, if there is one, and the clauses."""
        return [self.filler, *self.clauses] if self.filler else self.clauses

    @property
    def is_consent(self) -> bool:
        """Its words answer whether the call may be recorded: they ask for nothing."""
        return self.choice is not None and self.choice.name == CONSENT

    @property
    def committed(self) -> bool:
        """The caller's turn is over, so this may be heard."""
        return self.turn_over.is_set()

    def commit(self) -> None:
        """The caller's turn is over."""
        self.mark("committed")
        self.turn_over.set()

    @property
    def live(self) -> bool:
        """Whether work on it still makes sense."""
        return not self.dropped and not self.end_reason

    def mark(self, name: str) -> None:
        """Note that ``name`` happened now, the first time it does."""
        self.marks.setdefault(name, time.perf_counter())

    def stages_ms(self) -> dict[str, float]:
        """How long each stage took, in ms, and ``total`` from speech end to first audio sent.

        Stages overlap (work starts before the turn is over), so they need not add up to ``total``.
        """
        spans = {
            "retrieve": ("asked", "retrieved"),
            "first_token": ("retrieved", "first_token"),
            "first_sentence": ("first_token", "first_clause"),
            "first_audio": ("first_clause", "first_audio"),
            "gate": ("first_audio", "sent"),
        }
        stages = {"end_of_turn": float(self.silence_ms), "transcribe": self.transcribe_ms}
        for stage, (begin, end) in spans.items():
            if begin in self.marks and end in self.marks:
                stages[stage] = (self.marks[end] - self.marks[begin]) * 1000
        if self.speech_end and "sent" in self.marks:
            stages["total"] = (self.marks["sent"] - self.speech_end) * 1000
        return {stage: round(ms, 1) for stage, ms in stages.items()}
