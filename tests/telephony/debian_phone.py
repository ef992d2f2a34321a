"""Debian's baresip as a telephone: another SIP stack than ours, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

MODULES = Path("/usr/lib/baresip/modules")


@contextlib.asynccontextmanager
async def program(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs in ``folder`` until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def baresip_folder(
    folder: Path, port: int, microphone: Path, *, answers: bool, recorded: Path | None = None
) -> Path:
    """A configuration of baresip that plays a WAV file of 8 kHz once a call is answered.

    What it hears is kept in ``recorded``, a folder, as ``dump-…-dec.wav``.
    """
    home = folder / "baresip"
    home.mkdir()
    first = min(2 * (port // 2), 60_000)
    keeping = ""
    if recorded is not None:
        recorded.mkdir(exist_ok=True)
        keeping = f"module sndfile.so\nsnd_path {recorded}\n"
    (home / "config").write_text(
        f"sip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\n"
        f"rtp_ports {first}-{first + 100}\n"
        f"audio_source aufile,{microphone}\naudio_player aubridge,null\n"
        "audio_alert aubridge,null\n"
        f"module_path {MODULES}\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\n{keeping}"
        "module_tmp account.so\nmodule_app menu.so\n"
    )
    mode = "auto" if answers else "manual"
    (home / "accounts").write_text(
        f"<sip:debian@127.0.0.1:{port}>;regint=0;answermode={mode};audio_codecs=PCMU\n"
    )
    (home / "contacts").write_text("")
    return home
