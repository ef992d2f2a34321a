"""A supervisor's browser without a browser: joins calls through the control interface."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

WIRE_HZ = 48_000
LEVEL = 8_000
TONE_HZ = 300
SAMPLES = WIRE_HZ // 50


class Hum(MediaStreamTrack):
    """A microphone that hums ``TONE_HZ``."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._began_s: float | None = None

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = now_s
        await asyncio.sleep(max(0.0, self._began_s + self._sent / WIRE_HZ - now_s))
        at = (np.arange(SAMPLES) + self._sent) / WIRE_HZ
        samples = np.rint(LEVEL * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = WIRE_HZ, self._sent
        frame.time_base = Fraction(1, WIRE_HZ)
        self._sent += SAMPLES
        return frame


class ControlClient:
    """The control interface as the console uses it."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def calls(self) -> list[dict[str, Any]]:
        """Live calls."""
        async with self._session.get(f"{self._url}/v1/calls") as response:
            response.raise_for_status()
            found: list[dict[str, Any]] = (await response.json())["calls"]
            return found

    async def post(self, call_id: str, action: str, **body: Any) -> dict[str, Any]:
        """One action on one call.

        Raises:
            aiohttp.ClientResponseError: it was refused.
        """
        where = f"{self._url}/v1/calls/{call_id}/{action}"
        async with self._session.post(where, json=body) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer


class Supervisor:
    """One connection to one call."""

    def __init__(self, client: ControlClient, call_id: str, name: str) -> None:
        self._client = client
        self._call_id = call_id
        self._name = name
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTrack(Hum())
        self._connection.createDataChannel("events")

    async def prepare(self) -> None:
        """Gather, as a console's page does when a call is opened."""
        await self._connection.setLocalDescription()

    async def join(self, mode: str) -> None:
        """Connect; returns once the offer is answered."""
        answer = await self._client.post(
            self._call_id,
            "supervise",
            mode=mode,
            name=self._name,
            sdp=self._connection.localDescription.sdp,
        )
        await self._connection.setRemoteDescription(
            RTCSessionDescription(answer["sdp"], answer["type"])
        )

    async def change(self, mode: str) -> None:
        """Another mode."""
        await self._client.post(self._call_id, "mode", mode=mode, name=self._name)

    async def leave(self) -> None:
        """Close the connection."""
        await self._connection.close()
