"""A small company's back office, for demonstrations and tests: orders, refunds, appointments,
password resets, tickets, over HTTP and kept in SQLite."""
