"""Everything personal in a text: Presidio with a named-entity model and recognisers of our own.

What callers say has other forms than what they write ("four one one one…", a name spelled letter by
letter), so our own recognisers read both; see `personal_data_rules`, `personal_data_names` and
`spoken_forms`. Presidio: https://microsoft.github.io/presidio.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.predefined_recognizers import (
    IbanRecognizer,
    SpacyRecognizer,
    UsItinRecognizer,
    UsPassportRecognizer,
    UsSsnRecognizer,
)

from voice_agent.safety.personal_data_kinds import Finding, Kind, without_overlaps
from voice_agent.safety.personal_data_names import find_names
from voice_agent.safety.personal_data_rules import find_identifiers

MAX_CHARS = 4_000
"""Longer texts are read in pieces; an utterance is far shorter."""
_LABELS = {
    "PERSON": Kind.PERSON,
    "GPE": Kind.PLACE,
    "LOC": Kind.PLACE,
    "FAC": Kind.ADDRESS,
    "ORG": Kind.ORGANISATION,
    "NORP": Kind.GROUP,
    "DATE": Kind.DATE,
    "TIME": Kind.DATE,
}
_PRESIDIO = {
    "IBAN_CODE": Kind.ACCOUNT,
    "US_SSN": Kind.NATIONAL_ID,
    "US_ITIN": Kind.NATIONAL_ID,
    "US_PASSPORT": Kind.NATIONAL_ID,
}
_MINIMUM_SCORE = 0.35
_NER_SCORE = 0.5
_UNUSED = ("tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer")


class NamesUnusable(Exception):
    """The named-entity model cannot be loaded; the message is one line."""

    code = "names_model_unusable"
    retryable = False


class _Entities(NlpEngine):
    """spaCy's tokeniser and named entities alone; the rest of its pipeline is not needed."""

    def __init__(self, nlp: Any) -> None:
        self._nlp = nlp

    def load(self) -> None:
        """Nothing: it is loaded."""

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        doc = self._nlp(text)
        entities = [entity for entity in doc.ents if entity.label_ in _LABELS]
        lemmas = [token.lower_ for token in doc]
        places = [token.idx for token in doc]
        scores = [_NER_SCORE] * len(entities)
        return NlpArtifacts(entities, doc, places, lemmas, self, language, scores)

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,  # noqa: ARG002 - Presidio's signature
        n_process: int = 1,  # noqa: ARG002
        **_: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002
        return bool(self._nlp.vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002
        return bool(self._nlp.vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        return list(_LABELS)

    def get_supported_languages(self) -> list[str]:
        return ["en"]


class _WordsAround(LemmaContextAwareEnhancer):
    """Presidio's words around a finding, for the recognisers that have such words: it copies
    everything that it is given."""

    def enhance_using_context(
        self,
        text: str,
        raw_results: list[RecognizerResult],
        nlp_artifacts: NlpArtifacts,
        recognizers: list[EntityRecognizer],
        context: list[str] | None = None,
    ) -> list[RecognizerResult]:
        """See Presidio."""
        looking = {each.id for each in recognizers if each.context}
        found_by = RecognizerResult.RECOGNIZER_IDENTIFIER_KEY
        asked = [each for each in raw_results if each.recognition_metadata[found_by] in looking]
        if not asked:
            return raw_results
        others = [
            each for each in raw_results if each.recognition_metadata[found_by] not in looking
        ]
        enhanced = super().enhance_using_context(text, asked, nlp_artifacts, recognizers, context)
        return [*others, *enhanced]


class _Spoken(EntityRecognizer):
    """Our own rules, for written and spoken forms."""

    def __init__(self, spared: Container[str]) -> None:
        self._spared = spared
        super().__init__(supported_entities=[kind.name for kind in Kind], name="spoken forms")

    def load(self) -> None:
        """Nothing: they are rules."""

    def analyze(
        self,
        text: str,
        entities: list[str],  # noqa: ARG002 - Presidio's signature
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        found = [*find_identifiers(text), *find_names(text, self._spared)]
        return [RecognizerResult(f.kind.name, f.start, f.end, f.score) for f in found]


class PersonalData:
    """Finds personal data in English text. One instance serves every thread."""

    def __init__(self, nlp: Any, spared: Container[str] = ()) -> None:
        self._spared = spared
        registry = RecognizerRegistry(supported_languages=["en"])
        for recogniser in (
            SpacyRecognizer(supported_entities=list(_LABELS)),
            IbanRecognizer(),
            UsSsnRecognizer(),
            UsItinRecognizer(),
            UsPassportRecognizer(),
            _Spoken(spared),
        ):
            registry.add_recognizer(recogniser)
        self._analyzer = AnalyzerEngine(
            registry=registry,
            nlp_engine=_Entities(nlp),
            supported_languages=["en"],
            context_aware_enhancer=_WordsAround(),
        )
        self._entities = [*_LABELS, *_PRESIDIO, *(kind.name for kind in Kind)]
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path, spared: Container[str] = ()) -> PersonalData:
        """Read the named-entity model's folder (about 2 s, 150 MB).

        Args:
            folder: a spaCy model with an ``ner`` component.
            spared: lower-case words that are nobody's name, such as the company's products.

        Raises:
            NamesUnusable: the folder is missing, incomplete or damaged.
        """
        try:
            nlp = spacy.load(folder, exclude=_UNUSED)
        except Exception as error:  # spaCy raises whatever its parts raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise NamesUnusable(
                f"{folder}: cannot load the named-entity model: {reason}"
            ) from error
        return cls(nlp, spared)

    def find(self, text: str) -> list[Finding]:
        """What is personal in a text, in order, without overlaps."""
        found: list[Finding] = []
        for start in range(0, len(text), MAX_CHARS):
            with self._lock:  # spaCy's vocabulary grows while it reads
                results = self._analyzer.analyze(
                    text[start : start + MAX_CHARS],
                    language="en",
                    entities=self._entities,
                    score_threshold=_MINIMUM_SCORE,
                )
            for result in results:
                kind = _kind(result.entity_type)
                finding = Finding(kind, start + result.start, start + result.end, result.score)
                if not self._is_spared(text, finding):
                    found.append(finding)
        return [
            _trimmed(text, one) for one in without_overlaps(found) if _says_something(text, one)
        ]

    def _is_spared(self, text: str, finding: Finding) -> bool:
        if finding.score > _NER_SCORE:
            return False
        words = text[finding.start : finding.end].lower().split()
        return all(word.strip(".,'’s") in self._spared or word in self._spared for word in words)


def _says_something(text: str, finding: Finding) -> bool:
    """Whether a letter or digit is in it: what sticks out of another finding may have none."""
    return any(sign.isalnum() for sign in text[finding.start : finding.end])


def _trimmed(text: str, finding: Finding) -> Finding:
    start, end = finding.start, finding.end
    while not text[start].isalnum() and text[start] not in "+(":
        start += 1
    while not text[end - 1].isalnum():
        end -= 1
    return Finding(finding.kind, start, end, finding.score)


def _kind(entity: str) -> Kind:
    known = _LABELS.get(entity) or _PRESIDIO.get(entity)
    return known if known is not None else Kind[entity]
