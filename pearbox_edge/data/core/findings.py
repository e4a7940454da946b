"""What a check of data at rest finds wrong: the core, the blocks, and the way out."""

from dataclasses import dataclass
from enum import Enum

from pearbox_edge.ids import CoreKey
from pearbox_edge.logs import short


class FindingKind(Enum):
    """Which part of a core is not what it should be."""

    HEAD = "head"
    NODE = "node"
    BLOCK = "block"
    BITS = "bits"
    TABLES = "tables"


_ADVICE = {
    FindingKind.HEAD: "nothing of it can be trusted: forget it and fetch it again from a peer",
    FindingKind.NODE: "forget what lies below it and fetch that again from a peer",
    FindingKind.BLOCK: "forget it and fetch it again from a peer",
    FindingKind.BITS: "forget that it is held",
    FindingKind.TABLES: "rebuild the database of the data directory",
}
_DONE = {
    FindingKind.HEAD: "it was forgotten; fetch it again from a peer",
    FindingKind.NODE: "what lies below it was forgotten; it will be fetched again from a peer",
    FindingKind.BLOCK: "it was forgotten and will be fetched again from a peer",
    FindingKind.BITS: "it counts no longer",
    FindingKind.TABLES: "it was rebuilt",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in one core, in blocks from `start` up to `end` (not included).

    `core` is None for the tables that all cores share. `repaired`: it is out of the way already.
    `mended`: nothing was lost by that, for the rest says what it must have been.
    """

    core: CoreKey | None
    kind: FindingKind
    start: int
    end: int
    problem: str
    repaired: bool = False
    mended: bool = False

    @property
    def advice(self) -> str:
        """What to do about it, or what was done."""
        if self.mended:
            return "it was put right from the rest"
        return _DONE[self.kind] if self.repaired else _ADVICE[self.kind]

    def __str__(self) -> str:
        where = "the database" if self.core is None else f"core {short(self.core)}"
        if self.end > self.start:
            last = self.end - 1
            blocks = f"block {last}" if self.start == last else f"blocks {self.start} to {last}"
            where = f"{where}, {blocks}"
        return f"{where}: {self.problem}; {self.advice}"
