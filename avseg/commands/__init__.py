"""Commands of the command line, by group (`avseg.cli`)."""
