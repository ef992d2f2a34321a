"""Everything a measurement needs, on free ports of this machine: the product, a caller, a person.

The product runs as it does for real, from a settings file derived from the one given; the test
caller and the person's telephone are processes of their own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr
import yaml

from evals.playing import QUIET_MS
from evals.wire_line import free_port
from voice_agent.config import Settings, SynthesiserSettings, load
from voice_agent.processes import OWN_AGENT
from voice_agent.serve import running
from voice_agent.speech.synthesiser import Synthesiser

RATE_HZ = 16_000
LOOPBACK = "127.0.0.1"
CALLER_PITCH, CALLER_RATE = 1.06, 0.87
"""The caller's voice is the synthesiser's, higher and slower, so that it is another voice."""

OWN_CALLERS = "otherwise: {recording: unannounced, ai_disclosure: when_asked}\n"
"""Nobody has to be told: whoever rings a measurement is one of its own telephones."""


@dataclass(frozen=True, slots=True)
class Rig:
    """The running product as a measurement sees it."""

    settings: Settings
    config: Path
    folder: Path
    uri: str
    human_port: int


def derive(settings: Settings, folder: Path, human_port: int) -> dict[str, Any]:
    """The settings tree for a measurement: free ports, recording on, records in ``folder``,
    and nothing said before the greeting (``OWN_CALLERS``, in ``folder``)."""
    tree = settings.model_dump(mode="json")
    gateway, model = tree["gateway"], tree["answering"]["model"]
    media_port = free_port(LOOPBACK)
    gateway["sip"].update(host=LOOPBACK, port=free_port(LOOPBACK), trunk=None, tls=None)
    gateway["web"].update(host=LOOPBACK, port=free_port(LOOPBACK))
    gateway["control"].update(
        host=LOOPBACK, port=free_port(LOOPBACK), token_file=str(folder / "control.token")
    )
    gateway["kill_switch"] = str(folder / "kill_switch.json")
    gateway["agent"]["url"] = f"ws://127.0.0.1:{media_port}/media"
    gateway["human"]["uri"] = f"sip:human@127.0.0.1:{human_port}"
    gateway["recording"] = {"enabled": True, "folder": str(folder / "recordings")}
    gateway["law"] = str(folder / "law.yaml")
    tree["console"]["enabled"] = False
    tree["media"].update(host=LOOPBACK, port=media_port)
    tree["speech"]["synthesiser"].update(host=LOOPBACK, port=free_port(LOOPBACK))
    tree["records"]["path"] = str(folder / "records.sqlite")
    if model["serve"]:
        model["url"] = f"http://127.0.0.1:{free_port(LOOPBACK)}/v1"
    return tree


@contextmanager
def rig(
    settings: Settings,
    folder: Path,
    report: Callable[[str], None],
    *,
    agent: Sequence[str] = OWN_AGENT,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Iterator[Rig]:
    """The product, running from a derived settings file; everything is stopped afterwards.

    Another ``agent`` that speaks the media stream may take the product's place; ``change`` may
    change the derived tree of settings.

    Raises:
        ServeError: something does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "records.sqlite").unlink(missing_ok=True)
    human_port = free_port(LOOPBACK)
    config = folder / "settings.yaml"
    tree = derive(settings, folder, human_port)
    change(tree)
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    (folder / "law.yaml").write_text(OWN_CALLERS, encoding="utf-8")
    derived = load(config)
    with running(
        derived,
        config,
        report=report,
        run_folder=folder / "run",
        log_folder=folder / "log",
        agent=agent,
    ):
        uri = f"sip:agent@127.0.0.1:{derived.gateway.sip.port}"
        yield Rig(derived, config, folder, uri, human_port)


def speak(rig: Rig, sentences: dict[str, str], *, pitch: float = CALLER_PITCH) -> dict[str, Path]:
    """Sentences as WAV files at 16 kHz in a voice that is not the agent's, by name."""
    folder = rig.folder / "voice"
    folder.mkdir(parents=True, exist_ok=True)
    settings = rig.settings.speech.synthesiser.model_copy(update={"rate": CALLER_RATE})
    return asyncio.run(spoken(settings, sentences, pitch, folder))


async def spoken(
    settings: SynthesiserSettings, sentences: dict[str, str], pitch: float, folder: Path
) -> dict[str, Path]:
    """``speak``, by a synthesiser that runs already, into this folder.

    Raises:
        SynthesiserError: it does not answer.
    """
    synthesiser = Synthesiser(settings)
    files = {}
    try:
        for name, sentence in sentences.items():
            pcm = b"".join([piece async for piece in synthesiser.speak(sentence)])
            samples = soxr.resample(np.frombuffer(pcm, np.int16), RATE_HZ * pitch, RATE_HZ)
            files[name] = folder / f"{name}.wav"
            sf.write(files[name], samples, RATE_HZ, subtype="PCM_16")
    finally:
        await synthesiser.close()
    return files


@contextmanager
def person(
    rig: Rig, say: Path | None, outcome: str = "answer", name: str = "person"
) -> Iterator[Path]:
    """A person's telephone at the human line; gives the file its report will be in.

    Its recording is ``NAME.wav`` in the rig's folder.
    """
    out = rig.folder / f"{name}.json"
    (rig.folder / f"{name}.wav").unlink(missing_ok=True)
    command = [sys.executable, "-m", "evals.human_line", "--port", str(rig.human_port)]
    command += ["--outcome", outcome, "--json", str(out)]
    command += ["--record", str(rig.folder / f"{name}.wav")]
    if say is not None:
        command += ["--say", str(say)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "listening" not in line:
            raise OSError(f"the person's telephone did not start: {line.strip() or 'no word'}")
        yield out
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def caller(
    rig: Rig, name: str, scenario: list[dict[str, Any]], quiet_ms: float = QUIET_MS
) -> Iterator[subprocess.Popen[str]]:
    """A test caller playing ``scenario``; its events are JSON lines on its standard output.

    It takes ``quiet_ms`` of silence for the end of an answer. Its report and recording are
    ``NAME.json`` and ``NAME.wav`` in the rig's folder.
    """
    script = rig.folder / f"{name}.scenario.json"
    script.write_text(json.dumps(scenario), encoding="utf-8")
    command = [sys.executable, "-m", "evals.caller", rig.uri, "--scenario", str(script)]
    command += ["--json", str(rig.folder / f"{name}.json")]
    command += ["--record", str(rig.folder / f"{name}.wav"), "--config", str(rig.config)]
    command += ["--quiet-ms", str(quiet_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=15)
