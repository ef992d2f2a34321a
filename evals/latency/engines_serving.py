"""Language-model servers for the bench of engines: which there are, started one at a time."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals import vllm_cpu
from voice_agent.answering import native_build
from voice_agent.answering.llama_server import BATCH_TOKENS
from voice_agent.config import LanguageModelSettings, Settings
from voice_agent.models import locate

Name = Literal["wheel", "native", "vllm"]
NAMES: tuple[Name, ...] = ("wheel", "native", "vllm")
TITLES: dict[Name, str] = {
    "wheel": "llama.cpp, as packaged",
    "native": "llama.cpp, built for this processor",
    "vllm": "vLLM on the CPU",
}
MISSING: dict[Name, str] = {
    "wheel": "",
    "native": "voice-agent models build-native",
    "vllm": "python -m evals.vllm_cpu install",
}
"""What puts an engine on this machine."""
_START_S: dict[Name, float] = {"wheel": 60, "native": 60, "vllm": 300}
_BUSY = re.compile(
    r"^(?:llamacpp:requests_(?:processing|deferred)|vllm:num_requests_(?:running|waiting))"
    r"(?:\{[^}]*\})? (\S+)$",
    re.MULTILINE,
)


class EnginesError(Exception):
    """The engines cannot be measured; the message is one line that says what to do."""

    code = "bench_engines_failed"
    retryable = False

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Tuning:
    """What can be set of llama.cpp."""

    threads: int
    batch_threads: int
    batch_tokens: int = BATCH_TOKENS

    def __str__(self) -> str:
        return f"threads {self.threads}/{self.batch_threads}, batch {self.batch_tokens}"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is up."""

    name: Name
    root: str
    pid: int
    settings: LanguageModelSettings

    def busy_with(self) -> int:
        """Requests it answers or lets wait.

        Raises:
            OSError: it does not answer.
        """
        with urllib.request.urlopen(f"{self.root}/metrics", timeout=10) as answer:  # noqa: S310
            return busy_with(answer.read().decode(errors="replace"))

    def memory_mb(self) -> float:
        """Memory of its processes, shared pages counted once a process."""
        return sum(_resident_kb(pid) for pid in _family(self.pid)) / 1000


def available(vllm_folder: Path = vllm_cpu.FOLDER) -> list[Name]:
    """The engines on this machine; nothing is installed or built for it."""
    there: list[Name] = ["wheel"]
    if native_build.built() is not None:
        there.append("native")
    if (vllm_folder / "venv" / ".installed").is_file():
        there.append("vllm")
    return there


def chosen(wanted: list[str] | None, there: list[Name]) -> list[Name]:
    """The engines to measure.

    Raises:
        EnginesError: an unknown name, or one that is not on this machine (exit code 2).
    """
    if not wanted:
        return there
    names: list[Name] = []
    for word in wanted:
        name = next((known for known in NAMES if known == word), None)
        if name is None:
            raise EnginesError(f"there is no engine `{word}`: {', '.join(NAMES)}", exit_code=2)
        if name not in there:
            raise EnginesError(
                f"{TITLES[name]} is not on this machine; to have it: {MISSING[name]}", exit_code=2
            )
        if name not in names:
            names.append(name)
    return names


def busy_with(metrics: str) -> int:
    """Requests in work or waiting, from either engine's metrics."""
    return int(sum(float(value) for value in _BUSY.findall(metrics)))


@contextmanager
def running(name: Name, settings: Settings, tuning: Tuning) -> Generator[Served]:
    """The engine on a free loopback port, as the product would serve it, until the block ends.

    Raises:
        EnginesError: it does not start.
        ModelsError: the model is not on this machine.
    """
    model = settings.answering.model
    port = _free_port()
    root = f"http://127.0.0.1:{port}"
    if name == "vllm":
        try:
            argv, environment = vllm_cpu.command(vllm_cpu.converted(), "127.0.0.1", port)
        except vllm_cpu.VllmCpuError as error:
            raise EnginesError(f"{TITLES[name]}: {error}") from error
        served_as = vllm_cpu.MODEL
    else:
        file = locate(settings.models.folder, model.model_file)
        argv = [sys.executable, "-m", "voice_agent.answering.llama_server", "--server", name]
        argv += ["--model", str(file), "--alias", model.model, "--port", str(port)]
        argv += ["--slots", str(model.slots), "--context-tokens", str(model.context_tokens)]
        argv += ["--threads", str(tuning.threads), "--batch-threads", str(tuning.batch_threads)]
        argv += ["--batch-tokens", str(tuning.batch_tokens)]
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        served_as = model.model
    client = LanguageModelSettings(
        url=f"{root}/v1",
        model=served_as,
        engine="vllm" if name == "vllm" else "llama.cpp",
        api_key_env="",
        first_token_timeout_s=120,
        token_timeout_s=60,
    )
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that its children end with it
        )
        try:
            if not _comes_up(f"{root}/health", process, _START_S[name]):
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()
                raise EnginesError(
                    f"{TITLES[name]} did not start: {said[-1] if said else 'it said nothing'}"
                )
            yield Served(name, root, process.pid, client)
        finally:
            with suppress(ProcessLookupError):  # it has ended, and left nobody behind
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _comes_up(url: str, process: subprocess.Popen[bytes], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    match = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(match[1]) if match else 0
