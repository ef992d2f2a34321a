"""Which subjects a conversation names: the titles of the documents, as a recogniser hears them.

Callers name a hotel, a card or a product once and go on asking about "it"; the agent says its
name as well. A question alone finds the right answer for every one of them. So the titles
themselves are looked for in what was said lately, word by word, with the letters that a recogniser
mistakes ("souvia" for "Souvla", "dragon eats" for "DragonEats"). Nothing is listed by hand: the
subjects are those of the index, and a title counts as a name as far as its words are found in
nothing else: "Souvla" is one, "Payment methods" is hardly one. Pure.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.spoken_numbers import read_numbers
from voice_agent.knowledge.terms import weigh_name
from voice_agent.knowledge.word_forms import WordForms, rarity

_WORD = re.compile(r"[a-z0-9]+")
_PART_OF_TITLE = re.compile(r"\s[-–—|/]\s|[:(,]")
_LONGEST_NAME = 8  # words; longer titles are sentences, and words of theirs are everywhere
_MOST_WORDS = 200  # of one utterance, the last ones
_NAMED = 0.5  # share of a name that must be heard in one place
_SHARPNESS = 4  # half a name is mostly another thing: it counts a sixteenth
_FADING = 0.95  # for every utterance since
_WHOLE_TITLE = 0.2  # what the rest of a title adds: "Souvla - Mission" when Mission was named too
_TELLING = 4.0  # nats that a name should carry; common words that happen to be a title carry less
_REMEMBERED_UTTERANCES = 512


@dataclass(frozen=True, slots=True)
class _Name:
    """Words that a title may be called by; `weights` say how much each tells it apart."""

    words: tuple[int, ...]
    weights: tuple[float, ...]
    total: float


class Subjects:
    """The titles of an index."""

    def __init__(self, passages: Iterable[tuple[str, Sequence[int]]]) -> None:
        """Learn the subjects of passages, each given by its title and its terms' numbers."""
        rows_of: dict[str, set[int]] = defaultdict(set)
        rows_with: dict[int, set[int]] = defaultdict(set)
        for row, (title, terms) in enumerate(passages):
            rows_of[title].add(row)
            for term in terms:
                rows_with[term].add(row)
        names = {title: _names(title) for title in sorted(rows_of)}
        weights = rarity(words for both in names.values() for words in both[:1])
        self._forms = WordForms(word for both in names.values() for words in both for word in words)
        number_of = {word: number for number, word in enumerate(self._forms.words)}
        self._names: list[_Name] = []
        self._title_names: dict[str, tuple[int, ...]] = {}
        known: dict[tuple[str, ...], int] = {}
        for title, both in names.items():
            for words in both:
                if words not in known:
                    known[words] = len(self._names)
                    self._names.append(
                        _Name(
                            tuple(number_of[word] for word in words),
                            tuple(weights[word] for word in words),
                            sum(weights[word] for word in words),
                        )
                    )
            self._title_names[title] = tuple(known[words] for words in both)
        self._titles_called: dict[int, list[str]] = defaultdict(list)
        for title, called in self._title_names.items():
            for name in called:
                self._titles_called[name].append(title)
        self._names_with = _by_word(self._names)
        self._telling = [
            min(1.0, name.total / _TELLING) * self._own_share(number, rows_of, rows_with)
            for number, name in enumerate(self._names)
        ]
        self._heard: dict[str, tuple[dict[int, float], dict[int, float]]] = {}

    def _own_share(
        self, number: int, rows_of: dict[str, set[int]], rows_with: dict[int, set[int]]
    ) -> float:
        """Of the passages with all the words of a name, how many are about what it names."""
        words = " ".join(self._forms.words[word] for word in self._names[number].words)
        holding = [rows_with.get(term, set()) for term in weigh_name(words).indices]
        if not holding:
            return 0.0
        having_all = set.intersection(*sorted(holding, key=len))
        own = set().union(*(rows_of[title] for title in self._titles_called[number]))
        return len(own & having_all) / max(len(having_all), 1)

    def named_in(self, utterances: Sequence[str]) -> dict[str, float]:
        """How surely each title is what the conversation is about.

        Args:
            utterances: what was said, by either side, oldest first; the last is the question.

        Returns:
            Titles that were named at all, each from 0 to 1: the likeness of the best mention
            to the fourth power, less for every utterance since, and less for names of common words.
        """
        mentioned: dict[int, float] = defaultdict(float)
        words_heard: dict[int, float] = {}
        heard_in_each = [self._hear(utterance) for utterance in utterances]
        for age, (names, words) in enumerate(reversed(heard_in_each)):
            for name, likeness in names.items():
                mentioned[name] = max(mentioned[name], likeness**_SHARPNESS * _FADING**age)
            for word, likeness in words.items():
                if likeness > words_heard.get(word, 0.0):
                    words_heard[word] = likeness
        named: dict[str, float] = {}
        for name, surety in mentioned.items():
            told = self._telling[name]
            for title in self._titles_called[name]:
                whole = self._names[self._title_names[title][0]]
                heard = _share(whole, words_heard)
                sure = told * surety * ((1 - _WHOLE_TITLE) + _WHOLE_TITLE * heard)
                named[title] = max(named.get(title, 0.0), sure)
        return named

    def _hear(self, utterance: str) -> tuple[dict[int, float], dict[int, float]]:
        """The names in an utterance and the words of names in it, each with its likeness."""
        known = self._heard.get(utterance)
        if known is None:
            if len(self._heard) >= _REMEMBERED_UTTERANCES:
                self._heard.clear()
            known = self._heard[utterance] = self._listen(utterance)
        return known

    def _listen(self, utterance: str) -> tuple[dict[int, float], dict[int, float]]:
        words = _words(utterance)[-_MOST_WORDS:]
        at: dict[int, list[tuple[float, float]]] = defaultdict(list)
        best: dict[int, float] = defaultdict(float)
        joined = [
            (place + 0.5, first + second)
            for place, (first, second) in enumerate(itertools.pairwise(words))
        ]
        for place, word in [*enumerate(words), *joined]:
            for number, likeness in self._forms.similar(word):
                at[number].append((float(place), likeness))
                if likeness > best[number]:
                    best[number] = likeness
        heard = np.zeros(len(self._names), dtype=np.float32)
        for number, likeness in best.items():
            having, shares = self._names_with[number]
            heard[having] += shares * np.float32(likeness)
        names = {
            name: likeness
            for name in np.flatnonzero(heard >= _NAMED).tolist()
            if (likeness := _best_window(self._names[name], at)) >= _NAMED
        }
        return names, dict(best)


def _by_word(
    names: Sequence[_Name],
) -> dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """For each word the names that have it, and which share of each name it is."""
    having: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for number, name in enumerate(names):
        for word, weight in zip(name.words, name.weights, strict=True):
            having[word].append((number, weight / name.total))
    return {
        word: (
            np.array([number for number, _ in held], dtype=np.int64),
            np.array([share for _, share in held], dtype=np.float32),
        )
        for word, held in having.items()
    }


def _share(name: _Name, heard: dict[int, float]) -> float:
    """How much of a name was heard anywhere, 0 to 1."""
    got = sum(
        weight * heard.get(word, 0.0) for word, weight in zip(name.words, name.weights, strict=True)
    )
    return got / name.total


def _best_window(name: _Name, at: dict[int, list[tuple[float, float]]]) -> float:
    """How much of a name was heard in one place: in as many words as it has, and one and a half."""
    hits = sorted(
        (place, index, likeness)
        for index, word in enumerate(name.words)
        for place, likeness in at.get(word, ())
    )
    reach = len(name.words) + 1.5
    best = 0.0
    for start, (first, _, _) in enumerate(hits):
        found: dict[int, float] = {}
        for place, index, likeness in hits[start:]:
            if place >= first + reach:
                break
            found[index] = max(found.get(index, 0.0), likeness)
        best = max(best, sum(name.weights[index] * alike for index, alike in found.items()))
    return best / name.total


def _names(title: str) -> tuple[tuple[str, ...], ...]:
    """The words of the whole title, and those before its first colon, dash or bracket."""
    if title.rstrip().endswith("?"):
        return ()  # a frequent question is asked, not named
    called: list[tuple[str, ...]] = []
    for text in (title, _PART_OF_TITLE.split(title, maxsplit=1)[0]):
        words = tuple(dict.fromkeys(_words(text)))
        if words and words not in called:
            called.append(words)
    if not called or len(called[-1]) > _LONGEST_NAME:
        return ()
    return tuple(called)


def _words(text: str) -> list[str]:
    plain = text.lower().replace("'", "").replace("’", "").replace("&", " and ")
    return read_numbers(_WORD.findall(plain))
