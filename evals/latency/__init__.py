"""How long callers wait: voice to voice, and the agent's silence after an interruption."""

from evals.latency.bench import run

__all__ = ["run"]
