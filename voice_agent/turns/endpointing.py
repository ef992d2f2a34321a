"""How much silence ends a turn, and which sounds are no turn at all. Pure.

Five witnesses are weighed as log odds, so that they add up: the sound (smart-turn's probability),
the words (do they ask for more, or are they whole?), how long the caller has spoken, the caller's
own rhythm (do they pause in the middle of turns?) and, where these doubt, whether the recogniser
hears the words trail off. The balance is turned into silence: enough of it, and ``end_silence_ms``
will do; the less of it, the longer, up to ``max_silence_ms``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voice_agent.config import TurnSettings

FAINT_DB = 24.0
"""Sound so much softer than the caller's usual level is no voice any more. Silero goes on saying
"voice" for about 100 ms after the last voiced sample; with this the end is seen 20 ms after it
(``evals.latency.turn_curve``). Soft last sounds of a word lie above."""
SILENT_DB = -60.0
"""Softer than this (dB of full scale) is silence, however softly the caller speaks."""

_SURE, _UNSURE, _DOUBTING = 1.0, 0.0, -1.0
"""Log odds over ``complete_threshold``: from the first on the shortest silence will do, at the
second ``_UNSURE_MS`` are needed, from the third on the longest."""
_UNSURE_MS = 500
_ROUNDED_OFF_MS = 800
"""A whole question or a courtesy needs no longer silence than this, whatever the sound says."""
_TRAILING_WEIGHT, _TRAILING_USUAL, _TRAILING_MOST = 0.9, -4.5, 3.0
"""Whisper gives "…" or "–" after the last word a log probability of -5.0 at the median of 86 ends
of orders, and of -3.5 at 114 pauses. With it 95 % of 291 ends are committed within 0.66 s, without
it within 1.23 s, at as many cut-ins (``evals.latency.turn_curve``). Qwen 0.5B's probability of a
full stop told nothing."""
_USUAL_TURN_MS = 2000
_SHORTER_WEIGHT, _LONGER_WEIGHT = 2.0, 4.0
_LENGTH_BOUNDS = (-2.0, 2.0)
_STORY_MS = (5000, 8000)
"""A turn that has hardly begun is seldom over, however whole its first words sound. A request takes
a few seconds; who speaks for longer tells a story, and pauses in it: length says less and less."""
_WORDS_ASK_FOR_MORE = -2.0
_WORDS_ROUND_OFF = 2.0
_WORDS_QUALIFY = 3.5
_MOST_RHYTHM = 1.0
_BOUNDS = (0.1, 0.995)
"""No probability is taken for more certain than this: the networks have not earned it. They take
voices that rise, as in "can I get a coffee?", for unfinished."""

_TRAILS_OFF = re.compile(r"(\.\.\.|…|,|-|–|—)\s*$")
_OPEN = re.compile(
    r"\b(and|or|but|because|if|than|as|the|a|an|my|your|our|their|every|"
    r"i'm|i'd|i've|i'll|we're|we'd|you're|they're|"
    r"um+|uh+|er+m?|hmm+|(i|we)('d| would) like|(can|could|may) (i|we) (have|get)|"
    r"(my|the) (first|last|full) name|(name|number|code|address|email|question|problem) is)"
    r"[\s,.?!…-]*$",
    re.IGNORECASE,
)
"""Words that no sentence ends with, questions included."""
_OPEN_UNLESS_ASKED = re.compile(
    r"\b(with|without|for|to|of|from|at|about|into|between|its|it's|i|we|they|so|like|"
    r"(?<!as )well|which|whether|while)[\s,.!…-]*$",
    re.IGNORECASE,
)
"""Words that end a question ("who is it for?") but no statement."""
_WANTS_A_NOUN = re.compile(
    r"\b(in|on|by|is|are|was|were|am|will|would|can|could|should|have|has|had|want|need|"
    r"some|any|few|other|another|more|extra|very|really|quite|too|"
    r"big|small|large|medium|long|short|new|old|single|double|triple|first|second|third|"
    r"(a|the|an|of|with|for|get|like|want|need|take|have) "
    r"(two|three|four|five|six|seven|eight|nine|ten|twelve|\d{1,3})|"
    r"(two|three|four|five|six|seven|eight|nine|ten|\w+teen|twelve|twenty|thirty|forty|fifty|"
    r"[2-9]|\d{2,3})[ -](ounce|inch|pound|gallon|litre|liter|metre|meter|foot|mile|dollar|euro|"
    r"cent|day|week|month|year|hour|minute|person|piece)|"
    r"(with|of|for|get|like|want|need|take|have) "
    r"(a (little )?(lot|bit|few|couple|little)|lots|plenty))[\s.?!]*$",
    re.IGNORECASE,
)
"""Endings that more often go on than not: "a large", "a twelve inch", "with three", "a lot"."""
_QUALIFIED = re.compile(
    r"(^\W*(?=with)|"
    r"\b((can|could|may|would|will) (i|we|you)|(i|we) (want|need)|"
    r"(i|we)('d| would) (like|love|prefer)|(i|we)('ll| will) (have|take)|"
    r"(give|get|make|send|bring|tell|show|let|help) (me|us)|please) ([^\s.?!]+ ){1,12}?|"
    r"(^|[.?!,] )\W*(an?|some|"
    r"(?!(and|but|so|or|if|when|because|is|was|it's|in|on|at|for|of|to|from|about|by)\b)"
    r"[a-z]+ (an?|the|my|our|me|some)) ([^\s.?!]+ ){1,10}?)"
    r"(with|without|for|to|at|on|in|from|about|by|near|after|before|until|over|under) "
    r"([^\s.?!]+ ){0,11}\S+\s*$",
    re.IGNORECASE,
)
"""A thing asked for and told more of: "can I get a coffee with oat milk", "change the address on my
order", "a table for tonight". In English that comes last, so there is seldom more to come, however
the voice rises: asked as a question, it sounds unfinished to smart-turn. What is told, not asked
for ("I bought it from you"), goes on as often as not."""
_READING_OUT = re.compile(
    r"\b(number|code|postcode|zip|reference|email|e-mail|spelled|spelt|address)\b"
    r"(?!.* (on|in|for|from|of|to|with) (a|an|the|my|our|your)\b).{0,24}$"
    r"|(\b(\d|oh|zero|one|two|three|four|five|six|seven|eight|nine)\b[\s,.-]*){2,}$"
    r"|(\d[\s,.-]*){5,}$|^\W*(\d[\s,.-]*){2,}$"
    r"|(\b[a-z]\b[\s,.-]+){1,}[a-z]\b[\s,.-]*$|(^|[.?!,] )\W*[b-hj-z]\b\W*$",
    re.IGNORECASE,
)
_ROUNDED_OFF = re.compile(
    r"\b(please|thanks|thank you|thank you (very|so) much|that('s| is) (all|it|fine|right|correct)|"
    r"(good)?bye)[\s.!?]*$"
    r"|(^|[.?!,] )(and |so |well |okay |ok )*"
    r"((how|what|where|when|why|who|which|do|does|did|is|are|(can|could|will|would) you)"
    r"( [^ .?!]+){2,}\?"
    r"|(how|what|where|when|why|who|which)"
    r"( (?!(i|we|you|they|he|she|it|this|that|the|an?|my|our|your|their)\b)[^ .?!]+){0,2} "
    r"(do|does|did|is|are|can|could|will|would|should|has|have)( [^ .?!]+){2,}\.?)\s*$",
    re.IGNORECASE,
)
"""Courtesies that close, and questions with a question word or a verb in front, whether or not the
recogniser heard them asked. Where the subject comes before the verb ("what I would like to know")
a statement begins. Requests ("can I have …") are none of these: they grow word by word and sound
whole at each."""
_BACKCHANNEL = re.compile(
    r"^((mm+|mhm|mm-?hm+|uh-?huh|hm+|ah|aha|oh|okay|ok|right|yeah|yep|yes|sure|i see|got it|"
    r"alright|all right|great|good|fine|cool|nice|thanks|thank you)[\s,.!…-]*){1,3}$",
    re.IGNORECASE,
)


_WHOLE_ANSWER = re.compile(
    r"^\W*((yes|yeah|yep|no|nope|hello|hi|hey|pardon|bye|goodbye|thanks|stop|wait|help|what|why|when)"
    r"\W+){1,3}((please|thanks|thank you|there|not)\W*)?$|\b(please|thanks|thank you|bye)\W*$",
    re.IGNORECASE,
)
"""Short, and all that somebody wants to say. "Sure" and "okay" are not: they begin more often."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """This caller so far: turns that were over, and pauses of half a second or more in turns that
    went on (a commit taken back because the caller went on is such a pause)."""

    turns: int = 0
    pauses: int = 0


def silence_needed_ms(
    settings: TurnSettings,
    text: str | None,
    completeness: float | None,
    spoken_ms: int = _USUAL_TURN_MS,
    rhythm: Rhythm = Rhythm(),
    trailing: float | None = None,
) -> int:
    """Silence after which the turn is over; ``spoken_ms``: from the turn's first sound to its last,
    ``trailing``: log probability that the words trail off.

    Between ``end_silence_ms`` for a sentence that sounds and reads complete and
    ``max_silence_ms`` for one that does not. ``None`` stands for not known yet.
    """
    if text is None or completeness is None or _asks_for_more(text):
        return settings.max_silence_ms
    balance = _believed(completeness) - _log_odds(settings.complete_threshold)
    balance += _words(text) + _length(text, spoken_ms) + _habit(rhythm) + _trailing(trailing)
    shortest, longest = settings.end_silence_ms, settings.max_silence_ms
    middle = min(max(_UNSURE_MS, shortest), longest)
    if _ROUNDED_OFF.search(text):
        longest = min(longest, max(_ROUNDED_OFF_MS, middle))
    return round(
        float(np.interp(balance, (_DOUBTING, _UNSURE, _SURE), (longest, middle, shortest)))
    )


def together(judgements: Sequence[float]) -> float | None:
    """One probability out of several judgements of one pause: the mean of their log odds.

    Judging at 100 and again at 180 ms of silence errs less often than either alone. Judging much
    later does not help: the network takes the silence itself for an end.
    """
    if not judgements:
        return None
    mean = sum(map(_believed, judgements)) / len(judgements)
    return 1 / (1 + math.exp(-mean))


def is_backchannel(text: str) -> bool:
    """Whether these words only say "I am listening"."""
    return bool(_BACKCHANNEL.match(text.strip()))


def is_faint(level_db: float, usual_level_db: float) -> bool:
    """Whether sound of ``level_db`` (dB of full scale) is too soft to be a caller's voice who
    usually speaks at ``usual_level_db``."""
    return level_db < max(SILENT_DB, usual_level_db - FAINT_DB)


def _asks_for_more(text: str) -> bool:
    asked = text.rstrip().endswith("?")
    if _TRAILS_OFF.search(text) or _OPEN.search(text):
        return True
    return not asked and bool(_OPEN_UNLESS_ASKED.search(text) or _READING_OUT.search(text))


def _words(text: str) -> float:
    if _ROUNDED_OFF.search(text):
        return _WORDS_ROUND_OFF
    if _WANTS_A_NOUN.search(text):
        return _WORDS_ASK_FOR_MORE
    return _WORDS_QUALIFY if _QUALIFIED.search(text) else 0.0


def _length(text: str, spoken_ms: int) -> float:
    if _WHOLE_ANSWER.search(text):
        return 0.0
    least, most = _LENGTH_BOUNDS
    longer = math.log(max(spoken_ms, 1) / _USUAL_TURN_MS)
    if longer < 0:
        return max(least, _SHORTER_WEIGHT * longer)
    return min(most, _LONGER_WEIGHT * longer) * float(np.interp(spoken_ms, _STORY_MS, (1, 0)))


def _trailing(log_probability: float | None) -> float:
    if log_probability is None:
        return 0.0
    weighed = _TRAILING_WEIGHT * (_TRAILING_USUAL - log_probability)
    return min(_TRAILING_MOST, max(-_TRAILING_MOST, weighed))


def _habit(rhythm: Rhythm) -> float:
    """The odds of an end against a pause by what this caller did before; 2 of each stand for not
    knowing."""
    odds = math.log((rhythm.turns + 2) / (rhythm.pauses + 2))
    return min(0.0, max(-_MOST_RHYTHM, odds))


def _believed(probability: float) -> float:
    return _log_odds(min(_BOUNDS[1], max(_BOUNDS[0], probability)))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
