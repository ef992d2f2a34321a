"""The frames that travel between the stages of a call.

All are system frames: the pipeline keeps them in order and a stage never blocks on one, so a
dropped reply cannot be overtaken by its own audio.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipecat.frames.frames import SystemFrame

from telephony.media_stream import Message
from voice_agent.knowledge.passages import Passage
from voice_agent.reply import Clause, Reply


@dataclass
class CallerAudio(SystemFrame):
    """20 ms of the caller; ``at_ms`` is the audio time of its end."""

    audio: bytes = b""
    at_ms: int = 0


@dataclass
class CallerVoice(SystemFrame):
    """The same 20 ms, and the probability that it is a voice (of the latest window)."""

    audio: bytes = b""
    at_ms: int = 0
    probability: float = 0.0


@dataclass
class LineReported(SystemFrame):
    """A control message from the gateway."""

    message: Message | None = None


@dataclass
class LineOrdered(SystemFrame):
    """A control message for the gateway."""

    message: Message | None = None


@dataclass
class AgentAudio(SystemFrame):
    """Sound for the caller: any length of the media stream's PCM."""

    audio: bytes = b""


@dataclass
class QuestionForeseen(SystemFrame):
    """What the caller seems to be asking; for preparing passages, never for answering."""

    text: str = ""
    history: tuple[tuple[str, str], ...] = ()


@dataclass
class PassagesForeseen(QuestionForeseen):
    """The passages that a question being asked will probably need.

    ``fresh``: the best of them was not among those foreseen before.
    """

    passages: tuple[Passage, ...] = ()
    fresh: bool = True


@dataclass
class ClauseForeseen(SystemFrame):
    """Words that will perhaps begin a reply; for preparing their sound, never for playing."""

    text: str = ""


@dataclass
class ReplyFrame(SystemFrame):
    """Anything about one reply."""

    reply: Reply = field(default_factory=lambda: Reply(0, "", ""))


@dataclass
class ReplyAsked(ReplyFrame):
    """Make this reply; ``history`` are earlier turns as (caller, agent heard), oldest first."""

    history: tuple[tuple[str, str], ...] = ()


@dataclass
class ActionAsked(ReplyFrame):
    """Make this reply: the caller goes on with an action that is under way."""


@dataclass
class ReplyGrounded(ReplyAsked):
    """Its passages are found (``reply.retrieval``)."""


@dataclass
class ClauseWritten(ReplyFrame):
    """The next clause's words are there."""

    clause: Clause = field(default_factory=lambda: Clause(""))


@dataclass
class ClauseVoiced(ReplyFrame):
    """More of a clause's audio is there, or (``clause.complete``) all of it."""

    clause: Clause = field(default_factory=lambda: Clause(""))


@dataclass
class ReplyWritten(ReplyFrame):
    """No further clauses will come."""


@dataclass
class ReplyCommitted(ReplyFrame):
    """The turn is over: this reply may be heard."""


@dataclass
class ReplyDelayed(ReplyFrame):
    """The caller has waited long for this reply: fill the silence."""


@dataclass
class ReplyDropped(ReplyFrame):
    """Nothing of this reply may be heard any more; stop all work on it."""


@dataclass
class ReplyStopped(ReplyFrame):
    """The caller interrupts: silence this reply, but be ready to go on."""


@dataclass
class ReplyResumed(ReplyFrame):
    """It was no interruption: go on from the word where it stopped."""


@dataclass
class ReplyFailed(ReplyFrame):
    """Upstream: a stage could not do its part; ``reply.failure`` holds the code."""


@dataclass
class ReplyBegun(ReplyFrame):
    """Upstream: the caller begins to hear the reply."""


@dataclass
class ReplyOver(ReplyFrame):
    """Upstream: the reply has ended; ``reply.heard`` and ``reply.end_reason`` are final."""


@dataclass
class AgentHeard(SystemFrame):
    """Upstream: whether the caller hears the agent now, and whether it is asking something."""

    audible: bool = False
    asking: bool = False
