"""A Whisper that reads what it is told to, for tests of what is made of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers.decoders import ByteLevel as Spaced
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import ByteLevel

from voice_agent.config import TranscriberSettings
from voice_agent.speech.transcriber import Transcriber

_SPECIAL = (
    "<|startoftranscript|>", "<|en|>", "<|fr|>", "<|transcribe|>", "<|translate|>",
    "<|startofprev|>", "<|startoflm|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
_WORDS = (
    "yes",
    "no",
    "thank",
    "you",
    "order",
    "oak",
    "desk",
    "please",
    "two",
    "grey",
    "red",
    "blue",
    "green",
    "chair",
    "table",
    "bed",
    "lamp",
)
_TOKENS = ("[UNK]", *("Ġ" + word for word in _WORDS), "<|endoftext|>", *_SPECIAL)
VOCABULARY = {token: number for number, token in enumerate(_TOKENS)}


def _tokenizer() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = ByteLevel()
    tokenizer.decoder = Spaced()
    return tokenizer


@dataclass
class Reading:
    """What the fake engine makes of one window."""

    text: str
    no_speech: float = 0.05
    score: float = -0.2
    trailing: float = 0.0
    """Logit of "…" after the last word; every other token has 0."""
    searched: Reading | None = None
    """What a wider search makes of it; ``None``: the same."""


@dataclass
class FakeWhisper:
    """Reads the next of ``readings`` at each greedy pass, the last one for ever after."""

    readings: list[Reading | Exception]
    language: tuple[str, float] = ("<|en|>", 0.99)
    multilingual: bool = True
    windows: list[int] = field(default_factory=list)
    languages_asked: int = 0
    prompts: list[list[int]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    searches: int = 0
    _read: Reading | Exception = field(default_factory=lambda: Reading(""))

    def __post_init__(self) -> None:
        self.hold.set()
        self.hf_tokenizer = _tokenizer()
        self.feature_extractor = FeatureExtractor()
        self.model = SimpleNamespace(
            is_multilingual=self.multilingual,
            generate=self._generate,
            detect_language=self._detect_language,
            align=self._align,
        )

    def encode(self, features: np.ndarray) -> str:
        self.began.set()
        self.hold.wait(10)
        self.windows.append(features.shape[1])
        return "encoded"

    def _generate(self, _: str, prompts: list[list[int]], **how: Any) -> list[Any]:
        self.prompts.append(prompts[0])
        reading = self._next(how["beam_size"])
        if isinstance(reading, Exception):
            raise reading
        if how.get("return_logits_vocab"):
            words = sum(token < VOCABULARY["<|endoftext|>"] for token in prompts[0])
            rows = np.zeros((words + 2, len(VOCABULARY)), np.float32)
            rows[words, VOCABULARY["[UNK]"]] = reading.trailing
            return [SimpleNamespace(logits=[rows])]
        marks = VOCABULARY["<|notimestamps|>"] + 1
        tokens = [
            marks + int(float(word[1:]) * 50) if word.startswith("@") else VOCABULARY["Ġ" + word]
            for word in reading.text.split()
        ]
        start = prompts[0][prompts[0].index(VOCABULARY["<|startoftranscript|>"]) :]
        given = [token for token in start if token < VOCABULARY["<|endoftext|>"] or token >= marks]
        tokens = [*given, *tokens]
        return [
            SimpleNamespace(
                sequences_ids=[tokens], scores=[reading.score], no_speech_prob=reading.no_speech
            )
        ]

    def _next(self, beam: int) -> Reading | Exception:
        if beam == 1:
            self._read = self.readings[0] if len(self.readings) == 1 else self.readings.pop(0)
            return self._read
        self.searches += 1
        searched = self._read.searched if isinstance(self._read, Reading) else None
        return searched or self._read

    def _detect_language(self, _: str) -> list[list[tuple[str, float]]]:
        self.languages_asked += 1
        return [[self.language]]

    def _align(self, _: str, __: list[int], texts: list[list[int]], ___: int) -> list[Any]:
        """As if each word took half a second."""
        pairs = [(token, token * 25) for token in range(len(texts[0]))]
        return [SimpleNamespace(alignments=pairs)]


def transcriber_that_reads(
    *readings: Reading | Exception, prompt: str = "", **how: Any
) -> tuple[Transcriber, FakeWhisper]:
    engine = FakeWhisper(list(readings), **how)
    return Transcriber(engine, TranscriberSettings(prompt=prompt, workers=1)), engine


def ids(*tokens: str) -> list[int]:
    return [VOCABULARY[token] for token in tokens]


def voice(seconds: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 2_000, int(16_000 * seconds))
    return noise.astype(np.int16)
