"""Which documents of the ledger repeat each other."""

from __future__ import annotations

from voice_agent.knowledge import checks
from voice_agent.knowledge.ledger import Ledger


def find_duplicates(ledger: Ledger) -> None:
    """The first document of an id or a text stays; of near-equal ones, all do, with a note."""
    database = ledger.database
    database.execute("DROP TABLE IF EXISTS temp.firsts")
    database.execute("CREATE TEMP TABLE firsts (key TEXT PRIMARY KEY, named TEXT, likeness BLOB)")

    def first(key: str) -> tuple[str, bytes] | None:
        row = database.execute("SELECT * FROM firsts WHERE key = ?", (key,)).fetchone()
        return (row["named"], row["likeness"]) if row else None

    with ledger.step():
        for row in ledger.usable():
            by_id, by_words = f"id {row.document_id}", f"words {row.words_hash}"
            note = duplicate = ""
            if same := first(by_id):
                duplicate = f"its id `{row.document_id}` belongs to {same[0]}"
            elif same := first(by_words):
                duplicate = f"a copy of {same[0]}"
            else:
                keys = [by_id, by_words]
                for number, band in enumerate(checks.bands(row.likeness)):
                    keys.append(f"band {number} {band.hex()}")
                    near = first(keys[-1])
                    if near and checks.alike(near[1], row.likeness) >= checks.NEARLY_THE_SAME:
                        note = f"nearly the same as {near[0]}: one of them may be out of date"
                database.executemany(
                    "INSERT OR IGNORE INTO firsts VALUES (?, ?, ?)",
                    [(key, row.named, row.likeness) for key in keys],
                )
            ledger.note_duplicate(row, duplicate, note)
