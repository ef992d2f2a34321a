"""What the turn engine is told, and what it decides. Times are audio time: ms of caller audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# --- told ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoiceMeasured:
    """The probability that the caller's audio just before ``at_ms`` is a voice, and how loud."""

    at_ms: int
    probability: float
    level_db: float = -26.0
    """Level of the last 20 ms in dB of full scale."""


@dataclass(frozen=True, slots=True)
class InterimHeard:
    """What the caller has said so far; may still change."""

    text: str


@dataclass(frozen=True, slots=True)
class PauseTranscribed:
    """All words up to pause number ``pause``. Empty text: no words in it.

    ``believed``: the recogniser is not merely guessing at a sound.
    """

    pause: int
    text: str
    believed: bool = True


@dataclass(frozen=True, slots=True)
class CompletenessJudged:
    """How likely the caller is to be done at pause number ``pause``, from the sound alone."""

    pause: int
    probability: float


@dataclass(frozen=True, slots=True)
class TrailingJudged:
    """How likely the words at pause number ``pause`` trail off: a log probability."""

    pause: int
    log_probability: float


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """Whether the caller hears the agent now; ``asking``: it is a question, so "yes" answers it."""

    audible: bool
    asking: bool = False


@dataclass(frozen=True, slots=True)
class ReplyOver:
    """A committed reply has been played, failed or been stopped for good."""

    reply: int


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A DTMF key."""

    at_ms: int
    digit: str


@dataclass(frozen=True, slots=True)
class LineChanged:
    """Whether the caller talks to the agent (true) or to a person (false)."""

    ours: bool


@dataclass(frozen=True, slots=True)
class PersonRung:
    """Whether a person is being rung for the caller, who need not say anything meanwhile."""

    waiting: bool


TurnEvent: TypeAlias = (
    VoiceMeasured
    | InterimHeard
    | PauseTranscribed
    | CompletenessJudged
    | TrailingJudged
    | AgentHeard
    | ReplyOver
    | KeyPressed
    | LineChanged
    | PersonRung
)

# --- decided ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BeginUtterance:
    """The caller has begun to speak at ``at_ms``.

    ``settled``: they speak on, and what they said before is known: only the rest is transcribed.
    """

    at_ms: int
    settled: bool = False


@dataclass(frozen=True, slots=True)
class TranscribeInterim:
    """Transcribe what there is, to prepare; a stale result is of no use.

    ``ending``: the caller may just have said the last word, so this may be the final text.
    """

    through_ms: int
    ending: bool = False


@dataclass(frozen=True, slots=True)
class ExaminePause:
    """The caller may be done: transcribe all up to ``through_ms`` and judge completeness."""

    pause: int
    through_ms: int


@dataclass(frozen=True, slots=True)
class JudgeAgain:
    """The silence goes on: judge completeness once more, with all up to ``through_ms``."""

    pause: int
    through_ms: int


@dataclass(frozen=True, slots=True)
class JudgeTrailing:
    """The other witnesses doubt that the turn is over: ask whether its words trail off."""

    pause: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Find passages and let the model read them; the question is still being asked."""

    text: str


@dataclass(frozen=True, slots=True)
class Speculate:
    """Make reply number ``reply`` to this text, silently, until it is committed or dropped."""

    reply: int
    text: str


@dataclass(frozen=True, slots=True)
class DropReply:
    """The caller went on: nothing of this reply may be heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class CommitReply:
    """The turn is over: let the caller hear this reply.

    ``silence_ms`` of silence have passed; ``needed_ms`` would have been enough, had the words been
    known then.
    """

    reply: int
    silence_ms: int
    needed_ms: int


@dataclass(frozen=True, slots=True)
class StopAgent:
    """The caller interrupts: silence the agent at once."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class ResumeAgent:
    """It was no interruption: go on from the word where the agent stopped."""


@dataclass(frozen=True, slots=True)
class EndInterruption:
    """It was an interruption: the stopped reply is over, with what was heard of it."""


@dataclass(frozen=True, slots=True)
class DiscardUtterance:
    """The caller made a sound without words. ``voiced_ms`` of it seemed to be a voice."""

    voiced_ms: int


@dataclass(frozen=True, slots=True)
class SayFiller:
    """The committed reply is late: say something short meanwhile."""


@dataclass(frozen=True, slots=True)
class AskIfThere:
    """The caller has been silent for long; asked ``times`` times before."""

    times: int


@dataclass(frozen=True, slots=True)
class SayGoodbye:
    """The caller did not answer when asked."""


@dataclass(frozen=True, slots=True)
class TakeKeys:
    """The caller has keyed in these digits."""

    digits: str


Decision: TypeAlias = (
    BeginUtterance
    | TranscribeInterim
    | ExaminePause
    | JudgeAgain
    | JudgeTrailing
    | Prepare
    | Speculate
    | DropReply
    | CommitReply
    | StopAgent
    | ResumeAgent
    | EndInterruption
    | DiscardUtterance
    | SayFiller
    | AskIfThere
    | SayGoodbye
    | TakeKeys
)
