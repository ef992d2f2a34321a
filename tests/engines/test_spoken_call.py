"""A question spoken over SIP, answered by the engine under test: no other part is replaced."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import wave
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.engines.engine import MODELS, Engine, free_port
from voice_agent.config import Settings, load
from voice_agent.speech.synthesiser import Synthesiser

ROOT = Path(__file__).parents[2]
QUESTION = "How much does standard delivery cost?"  # delivery-parcels.md: $4.95

pytestmark = [pytest.mark.models, pytest.mark.loopback, pytest.mark.timeout(400)]


def settings_with(engine: Engine, folder: Path) -> Path:
    """Everything as it comes, but on free ports, below ``folder``, and with this engine."""
    media = free_port()
    model = engine.settings(first_token_timeout_s=30, token_timeout_s=15)
    tree = {
        "gateway": {
            "sip": {"port": free_port()},
            "web": {"port": free_port()},
            "control": {"port": free_port(), "token_file": str(folder / "control.token")},
            "kill_switch": str(folder / "kill_switch.json"),
            "agent": {"url": f"ws://127.0.0.1:{media}/media"},
            "prompts": str(folder / "prompts"),
            "law": str(ROOT / "configs" / "law.yaml"),
        },
        "media": {"port": media},
        "console": {"enabled": False},
        "models": {"folder": str(MODELS.resolve())},
        "speech": {"synthesiser": {"port": free_port()}},
        "turns": {"filler_after_ms": 60_000},  # the first sound is the answer's
        "knowledge": {
            "documents": str(ROOT / "configs" / "knowledge"),
            "index": str(folder / "knowledge"),
            "deadline_ms": 5000,
        },
        "answering": {
            "prompt": str(ROOT / "configs" / "prompts" / "answer.txt"),
            "roads": {
                "examples": str(ROOT / "configs" / "roads.yaml"),
                "calibration": str(ROOT / "configs" / "road_calibration.yaml"),
            },
            "quote_after_ms": 60_000,  # the engine answers, however slow the machine is
            "model": {**model.model_dump(exclude_defaults=True), "serve": False},
        },
        "handoff": {"reasons": str(ROOT / "configs" / "handoff.yaml")},
        "safety": {"policy": str(ROOT / "configs" / "policy.yaml")},
        "records": {"path": str(folder / "records.sqlite")},
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@contextmanager
def serving(config: Path) -> Generator[str]:
    """`voice-agent serve` until the block ends; the SIP address to ring."""
    command = [sys.executable, "-m", "voice_agent", "serve", "--json", "--config", str(config)]
    with subprocess.Popen(
        command, cwd=config.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as serve:
        try:
            assert serve.stdout
            line = serve.stdout.readline()
            assert line, f"serve ended with {serve.wait()}"
            yield json.loads(line)["sip"]
        finally:
            serve.send_signal(signal.SIGTERM)
            try:
                serve.wait(60)
            finally:
                serve.kill()


async def speak(settings: Settings, text: str, path: Path) -> None:
    """A recording of somebody saying ``text``, with the pause a person makes before it."""
    synthesiser = Synthesiser(settings.speech.synthesiser)
    try:
        sound = b"".join([chunk async for chunk in synthesiser.speak(text)])
    finally:
        await synthesiser.close()
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(sound)


def test_a_spoken_question_is_answered_from_the_documents(engine: Engine, tmp_path: Path) -> None:
    config = settings_with(engine, tmp_path)
    question, report = tmp_path / "question.wav", tmp_path / "call.json"
    with serving(config) as address:
        asyncio.run(speak(load(config), QUESTION, question))
        before = asyncio.run(engine.written())
        ring = [sys.executable, "-m", "voice_agent", "call", address, "--say", str(question)]
        ring += ["--json", str(report), "--config", str(config)]
        call = subprocess.run(ring, cwd=ROOT, capture_output=True, text=True)
        after = asyncio.run(engine.written())
    assert call.returncode == 0, call.stdout + call.stderr
    (turn,) = json.loads(report.read_text())["turns"]
    assert "deliver" in turn["heard"].lower()
    assert any("delivery-parcels" in source for source in turn["sources"])
    assert "4.95" in turn["answer"]
    assert after > before
