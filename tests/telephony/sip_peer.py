"""A far end in a process of its own: the stack allows one runtime a process.

``python -m tests.telephony.sip_peer PORT [udp|tcp|tls] [srtp] [PEM]``: commands are JSON lines on
standard input (``{"do": "dial", "uri": …}``), events JSON lines on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from baresip import BaresipError, Call

from evals.wire_audio import RATE_HZ, Span, Utterance
from evals.wire_call import CallError, WireCall
from evals.wire_line import WireLine
from telephony.settings import SipSettings, TlsSettings


def tone(hz: float, ms: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    at = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    return np.rint(8_000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def loudest_hz(samples: np.ndarray[Any, Any], rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


class Peer:
    def __init__(self, line: WireLine) -> None:
        self.line = line
        self.ringing: Call | None = None
        self.call: WireCall | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def take(self) -> None:
        async for call in self.line.calls():
            self.ringing = call
            tell("ringing", remote=call.peer, call_id=call.call_id)

    async def watch(self, call: WireCall) -> None:
        digits, held = "", False
        while not call.ended.is_set():
            if call.digits != digits:
                digits = call.digits
                tell("digits", digits=digits)
            if call.far_end_holds != held:
                held = call.far_end_holds
                tell("held" if held else "resumed")
            await asyncio.sleep(0.02)
        tell("closed", reason=call.end_reason)

    def adopt(self, call: WireCall) -> None:
        self.call = call
        tell("answered", call_id=call.call_id)
        self.start(self.watch(call))

    async def do(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "dial":
                try:
                    self.adopt(await self.line.dial(command["uri"], 10.0))
                except CallError as error:
                    tell("failed", status=error.status, error=str(error))
            case "answer":
                assert self.ringing is not None
                await self.ringing.answer()
                await self.ringing.wait_established(10.0)
                self.adopt(WireCall(self.ringing))
            case "reject":
                assert self.ringing is not None
                await self.ringing.reject()
            case "listen":
                assert self.call is not None
                listen = self.listen_from_now if command.get("from_now") else self.listen
                self.start(listen(self.call, command["ms"]))
            case "quiet":
                assert self.call is not None
                self.start(self.wait_for_quiet(self.call))
            case "tone":
                assert self.call is not None
                samples = tone(command["hz"], command["ms"])
                spoken = Utterance("tone", samples, Span(0, len(samples)))
                self.start(self.speak(self.call, spoken))
            case "press":
                assert self.call is not None
                await self.call.press(command["digits"])
            case "hold":
                assert self.call is not None
                await self.call.hold(command["held"])
            case "hang_up":
                assert self.call is not None
                await self.call.hang_up()

    async def speak(self, call: WireCall, spoken: Utterance) -> None:
        with contextlib.suppress(CallError):
            await call.say(spoken)

    async def wait_for_quiet(self, call: WireCall) -> None:
        """Tell when nothing is heard any more."""
        await call.wait_for_quiet(400.0, 20.0)
        tell("quiet")

    async def listen(self, call: WireCall, ms: int) -> None:
        """Wait for sound to begin, take so much of it, tell its loudest frequency."""
        began_s = await call.wait_for_sound(-1.0, 20.0)
        if began_s is None:
            tell("heard", hz=0.0)
            return
        await self.tell_heard(call, began_s, ms)

    async def listen_from_now(self, call: WireCall, ms: int) -> None:
        """The same of sound that comes from now on, whether it has begun already or not."""
        now_s = call.now_s
        while (heard_s := call.last_sound_s or -1.0) <= now_s:
            if call.ended.is_set() or call.now_s > now_s + 20.0:
                tell("heard", hz=0.0)
                return
            await asyncio.sleep(0.02)
        await self.tell_heard(call, heard_s, ms)

    async def tell_heard(self, call: WireCall, began_s: float, ms: int) -> None:
        await call.wait_for_end(ms / 1000)
        _, right, _ = call.axis()
        start = int(began_s * RATE_HZ) + RATE_HZ // 50
        heard = right[start : start + RATE_HZ * ms // 2000]
        tell("heard", hz=loudest_hz(heard, RATE_HZ), rms=float(np.sqrt((heard / 1.0) ** 2).mean()))


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


async def main(options: dict[str, Any]) -> None:
    tls = None
    if options.get("pem"):
        pem = Path(options["pem"])
        tls = TlsSettings(port=options["port"] + 1, certificate=pem, authorities=pem)
    settings = SipSettings(
        port=options["port"],
        user="peer",
        srtp=options.get("srtp", "off"),
        tls=tls,
        rtp_ports=(40_000, 49_998),
    )
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with WireLine(settings) as line:
        peer = Peer(line)
        peer.start(peer.take())
        tell("ready")
        while words := await reader.readline():
            try:
                await peer.do(json.loads(words))
            except (BaresipError, CallError) as error:
                tell("refused", error=str(error))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
