"""What a caller hears when nobody is there: prompts from WAV files, music, or a soft tone."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import soundfile
import soxr
import structlog

from telephony.audio import SILENCE, in_frames
from telephony.hold_music import hold_music
from telephony.media_stream import FRAME_MS, SAMPLE_RATE_HZ
from telephony.playout import Prompt

log = structlog.get_logger(__name__)

MAX_PROMPT_S = 120
_TONE_HZ = 440.0
_TONE_LEVEL = 1_200
_TONE_S = 0.6
_TONE_EVERY_S = 3.0


class PromptName(StrEnum):
    """The files looked for, each ``<name>.wav``."""

    HOLD = "hold"
    """Repeated, with tones between, while an agent is sought."""
    TROUBLE = "trouble"
    """Said once before a person is rung."""
    SWITCHED = "switched"
    """Said once when agents are taken off the phones, before people answer instead."""
    SENT = "sent"
    """Said once when a supervisor sends the caller to a person and no agent says so."""
    CUT_OFF = "cut_off"
    """Said once when a supervisor who has the caller is lost."""
    NOTICE = "notice"
    """Said first where the law wants that before a recording."""
    CONSENT = "consent"
    """Asked first where it wants a yes: by word, or by key 1 and not 2."""
    GOODBYE = "goodbye"
    """Said once before the gateway hangs up."""
    CALL_BACK = "call_back"
    """Said instead when the caller will be rung later."""
    CALLING_BACK = "calling_back"
    """Said first to a caller who is rung as promised."""
    ACCEPT = "accept"
    """Said to a person who has to press a key to take a call."""


def soft_tone() -> list[bytes]:
    """One period of a quiet tone and the pause after it: the caller is not forgotten."""
    time_s = np.arange(int(_TONE_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swell = np.sin(np.pi * time_s / _TONE_S)
    tone = np.rint(_TONE_LEVEL * swell * np.sin(2 * np.pi * _TONE_HZ * time_s)).astype("<i2")
    frames = in_frames(tone.tobytes())
    return frames + [SILENCE] * (int(_TONE_EVERY_S * 1000) // FRAME_MS - len(frames))


def read_wav(path: Path) -> list[bytes]:
    """The file as frames: any rate, any number of channels, at most two minutes.

    Raises:
        OSError, soundfile.SoundFileError: it cannot be read.
    """
    with soundfile.SoundFile(path) as file:
        samples = file.read(MAX_PROMPT_S * file.samplerate, dtype="float32", always_2d=True)
        mono = soxr.resample(samples.mean(axis=1), file.samplerate, SAMPLE_RATE_HZ)
    return in_frames(np.clip(np.rint(mono * 32_767), -32_768, 32_767).astype("<i2").tobytes())


@dataclass(frozen=True, slots=True)
class Prompts:
    """All prompts, as frames."""

    spoken: dict[PromptName, list[bytes]]
    tone: list[bytes]
    music: list[bytes] = field(default_factory=hold_music)

    @classmethod
    def load(cls, folder: Path) -> Prompts:
        """Read the folder (blocking); a prompt that is missing or unreadable becomes the tone."""
        spoken = {}
        for name in PromptName:
            path = folder / f"{name}.wav"
            try:
                spoken[name] = read_wav(path)
            except (OSError, soundfile.SoundFileError) as error:
                log.warning("prompt_missing", prompt=name.value, reason=type(error).__name__)
        return cls(spoken, soft_tone())

    def once(self, name: PromptName) -> Prompt:
        """Said once and finished."""
        return Prompt(self.spoken.get(name) or self.tone)

    def on_hold(self) -> Prompt:
        """For a short wait of unknown length: the words, three tones, and over again."""
        return Prompt(self.spoken.get(PromptName.HOLD, []) + self.tone * 3, repeat_from=0)

    def while_ringing(self, first: PromptName = PromptName.TROUBLE) -> Prompt:
        """Trouble is owned up to once, then music until a person answers."""
        said = self.spoken.get(first, [])
        return Prompt(said + self.music, repeat_from=len(said))

    def taken_off(self) -> Prompt:
        """That agents do not answer now is said once, then music until a person does."""
        said = self.spoken.get(PromptName.SWITCHED, [])
        return Prompt(said + self.music, repeat_from=len(said))

    def on_wait(self) -> Prompt:
        """Music only."""
        return Prompt(self.music, repeat_from=0)
