"""AVSBench-object: S4, MS3, and both together."""
