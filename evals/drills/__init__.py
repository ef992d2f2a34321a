"""Drills: what must work on a bad day, over real lines on loopback, measured at the caller."""
