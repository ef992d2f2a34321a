"""What is kept of a call, a turn and a handoff. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

CONSENT_ROAD = "consent"
"""The ``road`` of a turn whose words are no request: they say whether the call may be recorded."""


@dataclass(slots=True, frozen=True)
class CallRecord:
    """One call. Times are seconds since 1970; recorded again when it ends."""

    call_id: str
    line: str
    caller: str
    started_at: float
    ended_at: float | None = None
    end_reason: str = ""
    outcome: str = ""
    configuration_hash: str = ""
    leg_id: str = ""


@dataclass(slots=True, frozen=True)
class TurnRecord:
    """One turn: what was heard, what the answer stood on, what the caller heard of it.

    ``sources`` are the documents behind what was said, ``passages`` all that the model was given:
    objects with ``document_id``, ``passage_id``, ``score`` and ``source``;
    ``end_reason`` is ``completed``, ``interrupted``, ``failed:<code>``, ``transferred`` or
    ``hung_up``; ``stages_ms`` has a time for each stage that ran; ``waterfall_ms`` adds up to
    ``voice_to_voice_ms`` (see ``records.waterfall``). ``prepared_passages``: whether those read
    while the caller spoke were the right ones; ``None``: there were none. ``retrieval`` repeats the
    search: the query as embedded, filters, and the passages found, in order, with exact scores.

    ``road`` is what the router decided (or ``CONSENT_ROAD``), ``confidence`` its calibrated
    probability (0 to 1; ``None`` when no router decided), ``runner_up`` the next likely road
    (empty: a rule decided), ``choice`` what decided, which group of examples, and how long it took;
    ``outcome`` is how the reply came about in the end, such as ``quote`` or ``decline``. ``claims``
    are the pieces of the reply, each with its ``text``, the ``passage_ids`` behind it, and
    ``because``: why it was spoken.
    """

    call_id: str
    turn_id: str
    index: int
    began_at: float
    heard: str = ""
    interims: int = 0
    passages: tuple[dict[str, Any], ...] = ()
    sources: tuple[str, ...] = ()
    knowledge_version: str = ""
    query: str = ""
    prompt_id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    stages_ms: dict[str, float] = field(default_factory=dict)
    answer: str = ""
    spoken: str = ""
    heard_by_caller: str = ""
    end_reason: str = ""
    speculations: int = 0
    speculations_dropped: int = 0
    prepared_passages: bool | None = None
    filler: str = ""
    speech_ended_at: float | None = None
    transcribed_after_ms: float | None = None
    voice_to_voice_ms: float | None = None
    waterfall_ms: dict[str, float] = field(default_factory=dict)
    retrieval: dict[str, Any] = field(default_factory=dict)
    road: str = ""
    confidence: float | None = None
    runner_up: str = ""
    choice: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    claims: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True, frozen=True)
class HandoffRecord:
    """One attempt to put a caller through; the same ``handoff_id`` again replaces it.

    ``reason`` is the code of ``configs/handoff.yaml``; ``spoken`` the sentence the person hears;
    ``brief`` the story as data (see ``handoff.brief.Brief``); ``state`` the latest word from the
    gateway; ``outcome`` is ``person``, ``transferred`` (by the caller's own line), ``call_back``,
    ``voicemail``, ``agent`` (again with the agent), ``withdrawn``, ``left`` (the caller hung up),
    or empty while it is open; ``steps`` are ``{"at", "state", "reason"}`` in order, ``at`` in
    seconds since 1970.
    """

    handoff_id: str
    call_id: str
    asked_at: float
    reason: str
    queue: str = ""
    spoken: str = ""
    brief: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    state: str = ""
    outcome: str = ""
    steps: tuple[dict[str, Any], ...] = ()


Record: TypeAlias = CallRecord | TurnRecord | HandoffRecord
