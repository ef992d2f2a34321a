"""Phrases on disk."""

from __future__ import annotations

from pathlib import Path

from voice_agent.speech.kept_sounds import KeptSounds


def test_a_sound_is_found_by_voice_rate_and_text(tmp_path: Path) -> None:
    KeptSounds(tmp_path, "joe").put("Hello.", 1.0, b"\x01\x02")
    assert KeptSounds(tmp_path, "joe").get("Hello.", 1.0) == b"\x01\x02"
    assert KeptSounds(tmp_path, "joe").get("Hello.", 1.1) is None
    assert KeptSounds(tmp_path, "amy").get("Hello.", 1.0) is None


def test_an_empty_file_and_half_of_a_sample_are_no_sound(tmp_path: Path) -> None:
    kept = KeptSounds(tmp_path, "joe")
    for broken in (b"", b"\x01"):
        kept.put("Hello.", 1.0, broken)
        assert kept.get("Hello.", 1.0) is None
