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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.spoken_numbers import read_numbers
from voice_agent.knowledge.terms import weigh_name
from voice_agent.knowledge.word_forms import WordForms, rarity

Rows = npt.NDArray[np.integer[Any]]

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

    def __init__(self, titles: Iterable[str], own_shares: Iterable[float]) -> None:
        """Know titles, and for each of their names how much it is one (see `own_shares`)."""
        names = _called(titles)
        weights = rarity(words for both in names.values() for words in both[:1])
        self._forms = WordForms(word for both in names.values() for words in both for word in words)
        number_of = {word: number for number, word in enumerate(self._forms.words)}
        known = {words: number for number, words in enumerate(_distinct(names))}
        self._names = [
            _Name(
                tuple(number_of[word] for word in words),
                tuple(weights[word] for word in words),
                sum(weights[word] for word in words),
            )
            for words in known
        ]
        self._title_names = {
            title: tuple(known[words] for words in both) for title, both in names.items()
        }
        self._titles_called: dict[int, list[str]] = defaultdict(list)
        for title, called in self._title_names.items():
            for name in called:
                self._titles_called[name].append(title)
        self._names_with = _by_word(self._names)
        self._telling = [
            min(1.0, name.total / _TELLING) * share
            for name, share in zip(self._names, own_shares, strict=True)
        ]
        self._heard: dict[str, tuple[dict[int, float], dict[int, float]]] = {}

    @classmethod
    def learn(cls, passages: Iterable[tuple[str, Sequence[int]]]) -> Subjects:
        """The subjects of passages, each given by its title and its terms' numbers."""
        rows_of: dict[str, list[int]] = defaultdict(list)
        rows_with: dict[int, list[int]] = defaultdict(list)
        for row, (title, terms) in enumerate(passages):
            rows_of[title].append(row)
            for term in terms:
                rows_with[term].append(row)
        return cls(
            rows_of,
            own_shares(
                {title: np.array(rows) for title, rows in rows_of.items()},
                lambda term: np.array(rows_with.get(term, ()), dtype=np.int64),
            ),
        )

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


def own_shares(rows_of: Mapping[str, Rows], rows_with: Callable[[int], Rows]) -> list[float]:
    """How much the names of titles are names.

    Args:
        rows_of: for each title the rows of its passages, ascending.
        rows_with: the rows of the passages that have a term, ascending, by the term's number.

    Returns:
        For each name of the titles, in their order: of the passages with all of its words, the
        share that is about what it names.
    """
    shares = []
    for words, titles in _distinct(_called(rows_of)).items():
        holding = [rows_with(term) for term in weigh_name(" ".join(words)).indices]
        if not holding:
            shares.append(0.0)
            continue
        having_all, *others = sorted(holding, key=len)
        for other in others:
            having_all = having_all[_are_among(having_all, other)]
        own = sum(int(_are_among(having_all, rows_of[title]).sum()) for title in titles)
        shares.append(own / max(len(having_all), 1))
    return shares


def _are_among(rows: Rows, others: Rows) -> npt.NDArray[np.bool_]:
    """Which of the rows are among the others; both ascending."""
    if not len(others):
        return np.zeros(len(rows), dtype=np.bool_)
    among: npt.NDArray[np.bool_] = others[np.searchsorted(others[:-1], rows)] == rows
    return among


def _called(titles: Iterable[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    return {title: _names(title) for title in sorted(titles)}


def _distinct(
    names: Mapping[str, tuple[tuple[str, ...], ...]],
) -> dict[tuple[str, ...], list[str]]:
    """Each name once, in the order of the titles, with the titles that are called so."""
    titles_of: dict[tuple[str, ...], list[str]] = {}
    for title, both in names.items():
        for words in both:
            titles_of.setdefault(words, []).append(title)
    return titles_of


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
