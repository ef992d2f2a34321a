"""Music for callers who wait, made here: nobody's recording, so nobody's licence.

Four soft chords in slow arpeggios, each note a few decaying partials. Telephone bands keep 300 to
3,400 Hz, so the notes lie where they survive it, and the level stays well below speech: whoever
waits can be spoken to over it.
"""

from __future__ import annotations

import numpy as np

from telephony.audio import in_frames
from telephony.media_stream import SAMPLE_RATE_HZ

_CHORDS_HZ = (
    (392.00, 493.88, 587.33, 739.99),
    (329.63, 392.00, 493.88, 587.33),
    (349.23, 440.00, 523.25, 659.26),
    (293.66, 440.00, 523.25, 587.33),
)
_ORDER = (0, 2, 1, 3, 2, 1, 3, 2)
_NOTE_S = 0.5
_RING_S = 1.8
_LEVEL = 1_100
_PARTIALS = ((1.0, 1.0), (2.0, 0.25), (3.0, 0.08))


def hold_music() -> list[bytes]:
    """One round of 16 s, in frames; its end runs into its beginning without a click."""
    total = int(len(_CHORDS_HZ) * len(_ORDER) * _NOTE_S * SAMPLE_RATE_HZ)
    sound = np.zeros(total)
    at = 0
    for chord in _CHORDS_HZ:
        for step in _ORDER:
            note = _note(chord[step])
            # what rings on at the end is heard at the beginning of the next round
            sound[(at + np.arange(len(note))) % total] += note
            at += int(_NOTE_S * SAMPLE_RATE_HZ)
    scaled = sound * (_LEVEL * 2 / np.abs(sound).max())
    return in_frames(np.rint(scaled).astype("<i2").tobytes())


def _note(hz: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    time_s = np.arange(int(_RING_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = sum(share * np.sin(2 * np.pi * hz * times * time_s) for times, share in _PARTIALS)
    swell = np.minimum(1.0, time_s / 0.03) * np.exp(-2.2 * time_s)
    fade = np.minimum(1.0, (_RING_S - time_s) / 0.1)
    return np.asarray(tone * swell * fade, dtype=np.float64)
