"""What the back office keeps. Every effect is a row of its own, so that doubles can be counted."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    birth_date TEXT NOT NULL, pin TEXT NOT NULL, code TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    order_number TEXT PRIMARY KEY, customer_id TEXT NOT NULL, item TEXT NOT NULL,
    status TEXT NOT NULL, total REAL NOT NULL, delivery_date TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS effects (
    effect_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, customer_id TEXT NOT NULL,
    details TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, answer TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS crm_events (event_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
"""
SAMPLE_CUSTOMERS = (
    ("C-1001", "Ruth Abel", "ruth.abel@example.com", "1980-03-14", "4821", "730164"),
    ("C-1002", "Tom Byrne", "tom.byrne@example.com", "1975-07-02", "9035", "118402"),
    ("C-1003", "Ines Cole", "ines.cole@example.com", "1991-11-30", "6674", "552093"),
)
SAMPLE_ORDERS = (
    ("FH2041863", "C-1001", "oak dining table", "on_its_way", 429.0, "2027-01-12"),
    ("FH2041907", "C-1001", "desk lamp", "delivered", 64.5, "2026-10-02"),
    ("FH3307415", "C-1002", "three-seat sofa", "in_preparation", 899.0, "2027-02-03"),
    ("FH3318226", "C-1002", "bookshelf", "delivered", 149.0, "2026-09-18"),
    ("FH4450092", "C-1003", "washing machine", "delivered", 579.0, "2026-11-04"),
)


class OfficeRefused(Exception):
    """The rules of the business say no."""

    def __init__(self, code: str, status: int = 409) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class OfficeDatabase:
    """The file, and what may be done with it. For one thread.

    ``lenient``: takes the same appointment or cancellation twice, so that whoever sends it twice is
    found out.
    """

    def __init__(self, path: Path | None = None, *, lenient: bool = False) -> None:
        self._lenient = lenient
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript(_SCHEMA)
        if not self._one("SELECT 1 FROM customers LIMIT 1"):
            self.add(SAMPLE_CUSTOMERS, SAMPLE_ORDERS)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, customers: Any, orders: Any) -> None:
        """Add rows of customers and orders, in the order of their columns."""
        self._database.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", customers)
        self._database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", orders)

    def check_identity(self, named: dict[str, str], factor: str, value: str) -> str | None:
        """The id of the customer with this order number or e-mail, if the factor is theirs."""
        if factor not in ("birth_date", "pin", "code"):
            return None
        row = self._one(
            "SELECT c.* FROM customers c LEFT JOIN orders o USING (customer_id) "
            "WHERE o.order_number = ? OR c.email = ? LIMIT 1",
            named.get("order_number", ""),
            named.get("email", ""),
        )
        return str(row["customer_id"]) if row and row[factor] == value else None

    def order(self, order_number: str, customer_id: str) -> dict[str, Any]:
        """A customer's own order; another's is as unknown as one that does not exist."""
        row = self._one("SELECT * FROM orders WHERE order_number = ?", order_number)
        if row is None or row["customer_id"] != customer_id:
            raise OfficeRefused("not_found", 404)
        return dict(row)

    def refund(self, customer_id: str, order_number: str, amount: float) -> dict[str, Any]:
        """Refund a part of an order, at most what was paid."""
        order = self.order(order_number, customer_id)
        if order["status"] != "delivered":
            raise OfficeRefused("not_delivered")
        before = sum(
            effect["amount"]
            for effect in self.effects("refund")
            if effect["order_number"] == order_number
        )
        if amount <= 0 or before + amount > order["total"] + 0.004:
            raise OfficeRefused("more_than_paid")
        details = {"order_number": order_number, "amount": round(amount, 2)}
        number = self._effect("refund", customer_id, details)
        return {"refund_id": f"R{number}", "status": "refunded", **details}

    def cancel(self, customer_id: str, order_number: str) -> dict[str, Any]:
        """Cancel an order that has not been sent."""
        status = self.order(order_number, customer_id)["status"]
        if status != "in_preparation" and not (self._lenient and status == "cancelled"):
            raise OfficeRefused(f"is_{status}")
        self._database.execute(
            "UPDATE orders SET status = 'cancelled' WHERE order_number = ?", (order_number,)
        )
        self._effect("cancellation", customer_id, {"order_number": order_number})
        return {"status": "cancelled", "order_number": order_number}

    def appointment(self, customer_id: str, day: str, part: str) -> dict[str, Any]:
        """Book a technician's visit."""
        details = {"day": day, "part": part}
        if not self._lenient and details in [
            {"day": each["day"], "part": each["part"]}
            for each in self.effects("appointment")
            if each["customer_id"] == customer_id
        ]:
            raise OfficeRefused("already_booked")
        number = self._effect("appointment", customer_id, details)
        return {"appointment_id": f"A{number}", "status": "booked", **details}

    def password_reset(self, customer_id: str, email: str) -> dict[str, Any]:
        """Send a link to the customer's own address."""
        row = self._one("SELECT email FROM customers WHERE customer_id = ?", customer_id)
        if row is None or row["email"] != email:
            raise OfficeRefused("other_address", 403)
        self._effect("password_reset", customer_id, {"email": email})
        return {"status": "sent", "email": email}

    def ticket(self, customer_id: str, summary: str) -> dict[str, Any]:
        """Note something for a person to look at."""
        number = self._effect("ticket", customer_id, {"summary": summary})
        return {"ticket_id": f"T{number}", "status": "open"}

    def answered(self, key: str, request: str) -> dict[str, Any] | None:
        """What was answered to the same request before."""
        row = self._one("SELECT * FROM answers WHERE key = ?", key)
        if row is None:
            return None
        if row["request"] != request:
            raise OfficeRefused("key_reused", 422)
        found: dict[str, Any] = json.loads(row["answer"])
        return found

    def keep_answer(self, key: str, request: str, answer: dict[str, Any]) -> None:
        """Remember what was answered."""
        self._database.execute(
            "INSERT INTO answers VALUES (?, ?, ?)", (key, request, json.dumps(answer))
        )

    def effects(self, kind: str = "") -> list[dict[str, Any]]:
        """All that was ever done, oldest first."""
        rows = self._database.execute(
            "SELECT * FROM effects WHERE ? IN ('', kind) ORDER BY effect_id", (kind,)
        )
        return [
            {"kind": row["kind"], "customer_id": row["customer_id"], **json.loads(row["details"])}
            for row in rows
        ]

    def keep_event(self, event_id: str, body: str) -> bool:
        """Keep an event of the telephone agent; false when it is here already."""
        cursor = self._database.execute(
            "INSERT OR IGNORE INTO crm_events VALUES (?, ?)", (event_id, body)
        )
        return cursor.rowcount == 1

    def events(self) -> list[dict[str, Any]]:
        """The events kept."""
        return [
            json.loads(row["body"]) for row in self._database.execute("SELECT * FROM crm_events")
        ]

    def _effect(self, kind: str, customer_id: str, details: dict[str, Any]) -> int:
        cursor = self._database.execute(
            "INSERT INTO effects (kind, customer_id, details, at) VALUES (?, ?, ?, ?)",
            (kind, customer_id, json.dumps(details), time.time()),
        )
        return 1000 + int(cursor.lastrowid or 0)

    def _one(self, query: str, *values: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._database.execute(query, values).fetchone()
        return row
