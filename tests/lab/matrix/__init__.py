"""Which peers reach each other across which NATs, how fast, and how long a fault parts them.

Ours; the reference is npm hyperdht 6.34.0 and hyperswarm 4.17.2 (`reference.cjs`, figures measured
in this lab in `reference.json`: the bar to match or beat).
Door: run_pair, summary, table, FAULTS, measure_fault, REFERENCE.
Must not know: what the peers are. Any program that keeps the contract of `peer.py` can be measured.
"""

from .failures import FAULTS, measure_fault
from .pairs import Conditions, Run, run_pair, summary, table
from .peer import REFERENCE, ContractPeer, start_dht

__all__ = [
    "FAULTS",
    "REFERENCE",
    "Conditions",
    "ContractPeer",
    "Run",
    "measure_fault",
    "run_pair",
    "start_dht",
    "summary",
    "table",
]
