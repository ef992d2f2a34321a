"""Letting a version answer calls, going back to the one before, and deleting old ones."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.errors import (
    BuildRunning,
    IndexMissing,
    IndexUnusable,
    NothingToRollBackTo,
    PromotionRefused,
)
from voice_agent.knowledge.gate import Facts, Verdict, judge
from voice_agent.knowledge.journal import Entry, Journal, in_service, withdrawn
from voice_agent.knowledge.question_set import QuestionSet
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore

_LOCK_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whose decision a promotion or a rollback is, and why. `force` overrules the gate."""

    who: str
    why: str
    force: bool = False


class Promotion:
    """The switch between the versions of one index folder."""

    def __init__(
        self,
        settings: KnowledgeSettings,
        server: PassageStore | None = None,
        questions: QuestionSet | None = None,
    ) -> None:
        self._settings = settings
        self._server = server
        self._questions = questions
        self._versions = VersionStore(settings.index)
        self._journal = Journal(settings.index)

    def judge(self, version: str) -> Verdict:
        """What the gate says of a version, against the one that answers.

        Raises:
            IndexMissing, IndexUnusable: it cannot be read.
        """
        after = self._facts(version)
        try:
            current = self._versions.current()
            before = after if current == version else self._facts(current)
        except (IndexMissing, IndexUnusable):
            return judge(None, after, self._settings.gate)  # what cannot answer is no standard
        left = withdrawn(self._journal.entries()).get(version, "")
        return judge(before, after, self._settings.gate, left)

    def _facts(self, version: str) -> Facts:
        manifest = self._versions.manifest(version)
        documents = frozenset(document.id for document in self._versions.documents(version))
        asked: frozenset[str] = frozenset()
        found: frozenset[str] = frozenset()
        if self._questions is not None:
            asked, found = self._questions.found_in(self._versions.read(version), documents)
        return Facts(version, documents, int(manifest.get("refused_count", 0)), asked, found)

    def promote(self, version: str, decision: Decision, verdict: Verdict | None = None) -> Verdict:
        """Let a version answer from the next turn on, if the gate lets it.

        Args:
            version: the whole name of a kept version.
            decision: who wants it, and why.
            verdict: what `judge` has said already.

        Raises:
            PromotionRefused: the gate has reasons, and the decision does not overrule them.
            IndexMissing, IndexUnusable, IndexUnreachable: it cannot be.
        """
        before = self._versions.current_or_none()
        verdict = verdict or self.judge(version)
        if not verdict.passed and not decision.force:
            raise PromotionRefused(
                f"version {version} is not promoted, {before} goes on answering: "
                + "; ".join(verdict.reasons)
                + f" (it answers all the same with `knowledge promote {version} --force --why …`)"
            )
        self._fill_server(version)
        with self._switching():
            now = self._versions.current_or_none()
            if now != before:
                raise PromotionRefused(
                    f"version {version} is not promoted: {now} was, while it was compared "
                    f"with {before}"
                )
            self._switch(version)
            if now != version:
                self._journal.add(
                    Entry(
                        time.time(), "promote", version, now or "", decision.who, decision.why,
                        forced=not verdict.passed,
                    )
                )  # fmt: skip
        return verdict

    def rollback(self, decision: Decision, embedder: str = "") -> Entry:
        """Let the version answer that did before the current one. Waits for no build.

        Args:
            decision: who wants it, and why.
            embedder: identity of the embedding model in use, if known: versions made with
                another one cannot answer and are passed over.

        Raises:
            NothingToRollBackTo: none is kept.
            IndexMissing, IndexUnusable, IndexUnreachable: it cannot be.
        """
        self._versions.current()  # without one, there is not even a folder to lock
        with self._switching():
            now = self._versions.current()
            earlier = [v for v in in_service(self._journal.entries()) if v != now]
            target = next((v for v in reversed(earlier) if self._can_answer(v, embedder)), None)
            if target is None:
                raise NothingToRollBackTo(f"no version that answered before {now} is kept")
            self._fill_server(target)
            self._switch(target)
            entry = Entry(time.time(), "rollback", target, now, decision.who, decision.why)
            self._journal.add(entry)
        return entry

    def _can_answer(self, version: str, embedder: str) -> bool:
        if not self._versions.intact(version):
            return False
        return not embedder or self._versions.manifest(version).get("embedder") == embedder

    def _fill_server(self, version: str) -> None:
        if self._server is not None:
            self._server.fill(self._versions.read(version))

    def _switch(self, version: str) -> None:
        if self._server is not None:
            self._server.promote(version)
        self._versions.promote(version)

    def previous(self) -> str | None:
        """What a rollback would go back to."""
        now = self._versions.current_or_none()
        earlier = [v for v in in_service(self._journal.entries()) if v != now]
        return next((v for v in reversed(earlier) if self._versions.holds(v)), None)

    def prune(self) -> list[str]:
        """Delete the oldest versions beyond the number to keep.

        Never the current one, the one a rollback would go back to, or a pinned one.

        Returns:
            What was deleted.
        """
        with self._switching():
            kept = self._versions.kept()
            safe = {self._versions.current_or_none(), self.previous(), *self._journal.pins()}
            spare = [v.version for v in kept if v.version not in safe]
            room = max(0, self._settings.keep_versions - (len(kept) - len(spare)))
            doomed = spare[room:]
            for version in doomed:
                self._versions.remove(version)
                if self._server is not None:
                    self._server.drop(version)
        return doomed

    @contextmanager
    def _switching(self) -> Iterator[None]:
        """One switch at a time; each takes a moment."""
        path = self._settings.index / ".switch.lock"
        try:
            lock = path.open("w")
        except OSError as error:
            raise IndexUnusable(f"{path}: cannot be written: {error.strerror}") from error
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BuildRunning(
                            f"{path}: another promotion or rollback is running; try again"
                        ) from None
                    time.sleep(0.05)
            yield
