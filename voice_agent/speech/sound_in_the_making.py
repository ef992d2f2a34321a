"""A sentence whose sound is being made: whoever comes late gets it from the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager


class SoundInTheMaking:
    """Takes ``pieces`` until they end, or until the last who holds it lets go."""

    def __init__(self, text: str, pieces: AsyncGenerator[bytes, None]) -> None:
        self.text = text
        self._made: list[bytes] = []
        self._holders = 0
        self._news = asyncio.Event()
        self._making = asyncio.create_task(self._make(pieces))
        self._making.add_done_callback(lambda _: self._tell())

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self._making.done()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Somebody may need it."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._making.cancel()

    async def whole(self) -> bytes:
        """All of it, once it is made; raises what making it raised."""
        with self.held():
            await asyncio.shield(self._making)
            return b"".join(self._made)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Every piece from the first, as soon as there is one; raises what making it raised."""
        heard = 0
        with self.held():
            while heard < len(self._made) or not self.over:
                news = self._news
                if heard == len(self._made):
                    await news.wait()
                for piece in self._made[heard:]:
                    heard += 1
                    yield piece
            self._making.result()

    async def _make(self, pieces: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(pieces):
            async for piece in pieces:
                self._made.append(piece)
                self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
