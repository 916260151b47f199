"""AVISeg: long videos with tracks."""
