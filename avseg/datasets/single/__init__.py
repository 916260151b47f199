"""AVSBench-Single+."""
