"""Headless Chromium with a microphone that plays a file, for tests of the caller's page."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Page, Request, async_playwright, expect

from tests.telephony.webrtc_peer import tone

CHROMIUM = "/usr/bin/chromium"
MICROPHONE_HZ = 48_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
expect.set_options(timeout=20_000)  # a busy machine may need it; what comes sooner is seen sooner
PERMIT = "--use-fake-ui-for-media-stream"


_LOUDEST_HZ = """async (element) => {
  const context = new AudioContext();
  const node = context.createAnalyser();
  node.fftSize = 8192;
  context.createMediaStreamSource(element.srcObject).connect(node);
  const bins = new Float32Array(node.frequencyBinCount);
  for (let tries = 0; tries < 100; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    node.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    if (bins[loudest] > -50) return loudest * context.sampleRate / node.fftSize;
  }
  return 0;
}"""


async def heard_hz(page: Page, sound: str) -> float:
    """The loudest frequency that an audio element plays, once it plays any; else 0."""
    hz: float = await page.locator(sound).first.evaluate(_LOUDEST_HZ)
    return hz


@dataclass
class Tab:
    """A page, and everything it complained of or asked other hosts for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)


def humming_microphone(path: Path, hz: float = 440.0) -> Path:
    """A second of a tone, which Chromium repeats."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(MICROPHONE_HZ)
        out.writeframes(tone(hz, MICROPHONE_HZ, MICROPHONE_HZ))
    return path


@asynccontextmanager
async def browsing(
    folder: Path,
    *,
    microphone: Path | None = None,
    permit: bool = True,
    width: int = 1280,
    height: int = 800,
    dark: bool = False,
    extra_flags: tuple[str, ...] = (),
) -> AsyncIterator[Tab]:
    """A fresh browser profile in ``folder`` with one tab."""
    flags = [*FLAGS, *extra_flags]
    if permit:
        flags.append(PERMIT)
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=flags,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        try:
            tab = Tab(context.pages[0])
            tab.watch()
            yield tab
        finally:
            await context.close()
