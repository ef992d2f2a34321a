"""The test caller, the demo, and the latency harness: everything measured from outside."""
