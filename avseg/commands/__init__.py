"""The commands of the command line, one module per command or group (`avseg.cli` lists them)."""
