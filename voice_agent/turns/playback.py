"""Which words of a reply have been heard, from how much audio has been played. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from voice_agent.reply import Clause, Reply
from voice_agent.speech.heard import heard_text, word_times

BYTES_PER_MS = 32


@dataclass(slots=True)
class Sent:
    """A stretch of a clause on the gateway's timeline."""

    clause: Clause
    clause_ms: int
    """Where in the clause it begins."""
    line_ms: int
    """Where in all agent audio of the call it begins."""
    length_ms: int


@dataclass(slots=True)
class Playback:
    """Cuts a reply into audio to send, and maps what was played back to words.

    ``line_ms`` is the end of all agent audio sent on this call so far.
    """

    reply: Reply
    line_ms: int
    sent: list[Sent] = field(default_factory=list)
    clause_index: int = 0
    clause_bytes: int = 0

    def note_played(self, played_ms: int, at_ms: int) -> None:
        """Tell the reply what of it has been heard, and when (audio time) that began."""
        self.reply.heard = self.heard(played_ms)
        first_ms = self.sent[0].line_ms if self.sent else played_ms
        if self.reply.heard_from_ms is None and played_ms > first_ms:
            self.reply.heard_from_ms = at_ms - (played_ms - first_ms)

    def next_audio(self) -> bytes:
        """Audio that is ready and not sent yet, of one clause; empty when there is none now."""
        while self.clause_index < len(self.reply.sayings):
            clause = self.reply.sayings[self.clause_index]
            ready = len(clause.audio) - len(clause.audio) % BYTES_PER_MS
            if ready > self.clause_bytes:
                audio = clause.audio[self.clause_bytes : ready]
                self._note(clause, len(audio) // BYTES_PER_MS)
                self.clause_bytes = ready
                return audio
            if not clause.complete:
                return b""
            self.clause_index += 1
            self.clause_bytes = 0
        return b""

    def _note(self, clause: Clause, length_ms: int) -> None:
        begin_ms = self.clause_bytes // BYTES_PER_MS
        self.sent.append(Sent(clause, begin_ms, self.line_ms, length_ms))
        self.line_ms += length_ms

    @property
    def asking(self) -> bool:
        """Whether the clause sent last ends with a question."""
        return bool(self.sent) and self.sent[-1].clause.text.rstrip().endswith("?")

    @property
    def all_sent(self) -> bool:
        """Whether nothing is left to send, now or later."""
        done = all(clause.complete for clause in self.reply.sayings)
        return self.reply.written and done and self.clause_index >= len(self.reply.sayings)

    def heard_ms(self, played_ms: int) -> dict[int, int]:
        """For each clause (by its index) how far into it the caller has heard."""
        heard: dict[int, int] = {}
        for stretch in self.sent:
            ms = min(stretch.length_ms, played_ms - stretch.line_ms)
            if ms > 0:
                index = self._index_of(stretch.clause)
                heard[index] = max(heard.get(index, 0), stretch.clause_ms + ms)
        return heard

    def heard(self, played_ms: int) -> str:
        """The words heard when ``played_ms`` of the call's agent audio have been played."""
        return " ".join(
            words
            for index, ms in sorted(self.heard_ms(played_ms).items())
            if self._clause(index) is not self.reply.filler
            and (words := heard_text(self._clause(index).text, self._clause(index).duration_ms, ms))
        )

    def rewind(self, played_ms: int) -> None:
        """Go on from the word that was being said when ``played_ms`` had been played."""
        heard = self.heard_ms(played_ms)
        self.line_ms = played_ms
        self.sent = [
            Sent(s.clause, s.clause_ms, s.line_ms, min(s.length_ms, played_ms - s.line_ms))
            for s in self.sent
            if s.line_ms < played_ms
        ]
        self.clause_index = max(heard, default=0)
        self.clause_bytes = 0
        if not heard:
            return
        clause, ms = self._clause(self.clause_index), heard[self.clause_index]
        if clause.complete and ms >= clause.duration_ms:
            self.clause_index += 1
            return
        begins = [
            start
            for _, start, end in word_times(clause.text, clause.duration_ms)
            if start <= ms and end > start
        ]
        self.clause_bytes = (begins[-1] if begins else 0) * BYTES_PER_MS

    def _index_of(self, clause: Clause) -> int:
        return next(i for i, other in enumerate(self.reply.sayings) if other is clause)

    def _clause(self, index: int) -> Clause:
        return self.reply.sayings[index]
