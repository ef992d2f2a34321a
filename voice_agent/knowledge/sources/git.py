"""What is committed in a git repository: a clone on this machine, or a shallow one of a URL."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voice_agent.config import secret
from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.sources.settings import GitSourceSettings

_FILE_MODES = ("100644", "100755")
_MOST_BYTES = 200_000_000
_FETCHED = "refs/knowledge/fetched"


class GitFailed(Exception):
    """A git command failed; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    blob: str
    size: int


class GitSource:
    """The files of one commit, told apart by the ids of their blobs: nothing else is read.

    Uncommitted changes of a local clone are not seen. Documents are named `name/path`. A token is
    given to git through its environment, never on a command line.
    """

    def __init__(
        self,
        settings: GitSourceSettings,
        cache: Path,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`cache` is the folder that a clone of a URL is kept in."""
        self._settings = settings
        self._cache = cache
        self._now = now

    @property
    def name(self) -> str:
        """The name that settings give it."""
        return self._settings.name

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """Changed files with their content; none is gone when git fails."""
        try:
            folder, commit = self._commit()
            files = self._files(folder, commit)
            committed_at = float(self._git(folder, "show", "-s", "--format=%ct", commit))
        except (GitFailed, ValueError) as error:
            yield FetchFailed(self._settings.repository, str(error), retryable=True)
            return
        listed: set[str] = set()
        for file in files:
            uri = f"{self.name}/{file.path}"
            listed.add(uri)
            before = known.get(uri)
            if before and before.etag == file.blob:
                yield Unchanged(uri)
            else:
                yield self._fetch_one(folder, uri, file, committed_at)
        yield from (Gone(uri) for uri in known if uri not in listed)

    def _fetch_one(self, folder: Path, uri: str, file: _File, committed_at: float) -> FetchResult:
        if file.size > _MOST_BYTES:
            reason = f"{file.size // 1_000_000} MB, larger than {_MOST_BYTES // 1_000_000} MB"
            return FetchFailed(uri, reason, retryable=False)
        try:
            content = self._git_bytes(folder, "cat-file", "blob", file.blob)
        except GitFailed as error:
            return FetchFailed(uri, str(error), retryable=True)
        digest = hashlib.sha256(content).hexdigest()
        validators = Validators(digest=digest, etag=file.blob, size=len(content))
        return Fetched(
            uri=uri,
            content=content,
            media_type="",
            validators=validators,
            fetched_at=self._now(),
            modified_at=committed_at,
        )

    def _commit(self) -> tuple[Path, str]:
        """The folder git runs in and the id of the commit, fetched first where it is remote."""
        local = Path(self._settings.repository)
        if "://" not in self._settings.repository and local.exists():
            commit = self._git(local, "rev-parse", "--verify", f"{self._settings.ref}^{{commit}}")
            return local, commit
        if "://" not in self._settings.repository and "@" not in self._settings.repository:
            raise GitFailed("no such repository")
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GitFailed(f"{self._cache} cannot be written: {error.strerror}") from error
        self._git(self._cache, "init", "--quiet", "--bare")
        self._git(
            self._cache,
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--force",
            "--",
            self._settings.repository,
            f"{self._settings.ref}:{_FETCHED}",
        )
        return self._cache, self._git(
            self._cache, "rev-parse", "--verify", f"{_FETCHED}^{{commit}}"
        )

    def _files(self, folder: Path, commit: str) -> list[_File]:
        """Regular files of a commit below the folder wanted; hidden ones and links are left out."""
        below = self._settings.below.strip("/")
        tree = f"{commit}:{below}" if below else commit
        listing = self._git_bytes(folder, "ls-tree", "-r", "-z", "-l", "--full-tree", tree)
        files: list[_File] = []
        for entry in listing.decode("utf-8", errors="replace").split("\0"):
            told, _, path = entry.partition("\t")
            parts = told.split()
            hidden = any(part.startswith(".") for part in path.split("/"))
            if len(parts) == 4 and parts[0] in _FILE_MODES and not hidden:
                files.append(_File(path, parts[2], int(parts[3])))
        return sorted(files, key=lambda file: file.path)

    def _git(self, folder: Path, *arguments: str) -> str:
        return self._git_bytes(folder, *arguments).decode("utf-8", errors="replace").strip()

    def _git_bytes(self, folder: Path, *arguments: str) -> bytes:
        """What a git command prints.

        Raises:
            GitFailed: it fails or takes too long.
        """
        try:
            done = subprocess.run(  # noqa: S603 - arguments are checked where settings are read
                ["git", "-C", str(folder), *arguments],  # noqa: S607 - git of the machine
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=self._settings.timeout_s,
                env=self._environment(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise GitFailed(f"git takes longer than {self._settings.timeout_s:g} s") from error
        except OSError as error:
            raise GitFailed(f"git cannot be run: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
            raise GitFailed(f"git {arguments[0]}: {said[-1][:200] if said else 'failed'}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """Git without questions, hooks or transports that run commands."""
        environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:file",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            "LC_ALL": "C",
        }
        token = secret(self._settings.token_env) if self._settings.token_env else ""
        if token and self._settings.repository.startswith("https://"):
            credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{self._settings.repository}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
            }
        return environment
