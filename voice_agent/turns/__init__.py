"""When the caller speaks, has finished, or interrupts: pure deciders and the voice detectors."""
