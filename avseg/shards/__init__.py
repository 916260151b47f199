"""Shards: clips of a data set in tar files with an index. `avseg data pack` writes them, `--data.shards` reads them."""
