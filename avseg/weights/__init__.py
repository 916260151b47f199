"""Published weights: which there are (`RECORDS`), and what a file is (`recognise`). Imports no torch."""

from avseg.weights.matching import Match, recognise
from avseg.weights.record import Record
from avseg.weights.records import RECORDS

__all__ = ["RECORDS", "Match", "Record", "recognise"]
