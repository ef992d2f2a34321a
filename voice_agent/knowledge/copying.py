"""From the versions on the disk to a Qdrant server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a server has now, and which of it answers there."""

    versions: tuple[str, ...]
    current: str
    passages: int


def copy_versions(
    versions: VersionStore, server: PassageStore, all_kept: bool, progress: Progress
) -> Copied:
    """Fill a server, and let it answer with the version that answers here.

    Args:
        versions: where they are now.
        server: where they go; what is there already is not sent again.
        all_kept: not only the current version, so that a rollback is as quick there.
        progress: called with each version, the passages sent, and how many there are.

    Raises:
        IndexMissing, IndexUnusable, IndexUnreachable: one of them cannot be read or sent.
    """
    current = versions.current()
    names = [v.version for v in versions.kept() if not v.problem] if all_kept else [current]
    passages = 0
    for name in names:
        version = versions.read(name)
        server.fill(version, partial(progress, name))
        passages += len(version.passages)
    server.promote(current)
    return Copied(tuple(names), current, passages)
