"""Simulated callers who interrupt, hang up and change their minds while something is being done."""
