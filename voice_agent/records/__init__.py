"""Calls and turns as evidence, logs, metrics and traces."""
