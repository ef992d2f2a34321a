"""How long callers wait, and what happens when they pause, cough or interrupt; see ``bench``."""
