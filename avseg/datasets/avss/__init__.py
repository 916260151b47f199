"""AVSBench-semantic (AVSS)."""
