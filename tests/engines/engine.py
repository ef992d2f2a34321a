"""A real language-model server in a process of its own, and what its metrics say of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from evals import vllm_cpu
from voice_agent.config import LanguageModelSettings
from voice_agent.models import locate

Name = Literal["llama.cpp", "vllm"]
MODEL = vllm_cpu.MODEL
MODELS = Path("var/models")
KEY_ENV, KEY = "TEST_ENGINE_KEY", "open-sesame"
VLLM_QUEUED_TOKENS = 600
START_S: dict[Name, float] = {"llama.cpp": 100, "vllm": 600}


@dataclass(frozen=True, slots=True)
class Engine:
    """A server that is up."""

    name: Name
    root: str
    process: subprocess.Popen[bytes]

    def settings(self, **changes: Any) -> LanguageModelSettings:
        """A client's settings for it, with the patience of a machine that tests other things."""
        usual: dict[str, Any] = {
            "url": f"{self.root}/v1",
            "model": MODEL,
            "engine": self.name,
            "api_key_env": KEY_ENV,
            "first_token_timeout_s": 100,
            "token_timeout_s": 60,
        }
        return LanguageModelSettings(**{**usual, **changes})

    async def busy_with(self) -> int:
        """Requests being answered or waiting."""
        values = await self._metrics()
        if self.name == "vllm":
            return int(values["vllm:num_requests_running"] + values["vllm:num_requests_waiting"])
        return int(values["llamacpp:requests_processing"] + values["llamacpp:requests_deferred"])

    async def written(self) -> float:
        """Tokens written since it started."""
        values = await self._metrics()
        if self.name == "vllm":
            return values["vllm:generation_tokens_total"]
        return values["llamacpp:tokens_predicted_total"]

    async def until_idle(self) -> None:
        """Return when it has nothing to do; raises TimeoutError when that takes a minute."""
        async with asyncio.timeout(60):
            while await self.busy_with():  # noqa: ASYNC110 (no event to wait for)
                await asyncio.sleep(0.05)

    async def until_busy(self) -> None:
        """Return when it works on something; raises TimeoutError when that takes a minute."""
        async with asyncio.timeout(60):
            while not await self.busy_with():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _metrics(self) -> dict[str, float]:
        headers = {"Authorization": f"Bearer {KEY}", "Connection": "close"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{self.root}/metrics") as response,
        ):
            text = await response.text()
        values: dict[str, float] = {}
        for line in text.splitlines():
            if match := re.fullmatch(r"([a-z_:]+)(?:\{.*\})? (\S+)", line):
                values[match[1]] = float(match[2])
        return values

    def kill_what_writes(self) -> None:
        """End the process that computes, as the kernel does when memory runs out."""
        os.kill(self._core() if self.name == "vllm" else self.process.pid, signal.SIGKILL)

    def _core(self) -> int:
        """vLLM's server hands the work to a child."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            if "EngineCore" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        raise AssertionError(f"vLLM's engine is not among its children {children}")


def free_port() -> int:
    """A loopback port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: Name, folder: Path) -> Generator[Engine]:
    """The engine on a free port of the loopback, until the block ends; its log in ``folder``."""
    port = free_port()
    argv, environment = _command(name, port)
    log = folder / f"{name}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["nice", "-n5", *argv],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that its children end with it
        )
    try:
        root = f"http://127.0.0.1:{port}"
        _await_health(root, process, log, START_S[name])
        yield Engine(name, root, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _command(name: Name, port: int) -> tuple[list[str], dict[str, str]]:
    if name == "vllm":
        argv, environment = vllm_cpu.command(
            vllm_cpu.converted(), "127.0.0.1", port, queued_tokens=VLLM_QUEUED_TOKENS
        )
        return argv, {**environment, "VLLM_API_KEY": KEY}
    argv = [sys.executable, "-m", "voice_agent.answering.llama_server", "--alias", MODEL]
    argv += ["--model", str(locate(MODELS, MODEL)), "--port", str(port), "--key-env", KEY_ENV]
    return argv, {**os.environ, KEY_ENV: KEY}


def _await_health(
    root: str, process: subprocess.Popen[bytes], log: Path, patience_s: float
) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{root}/health", timeout=2):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    tail = log.read_text(errors="replace")[-3000:]
    raise AssertionError(f"the engine did not start (exit {process.poll()}):\n{tail}")
