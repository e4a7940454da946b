"""Where a file's bytes lie in the blobs core, and that place as JSON in a drive's entry."""

from dataclasses import dataclass
from typing import TypeAlias

from pearbox_edge.errors import PeerError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON text stands for."""

MAX_NUMBER = (1 << 53) - 1
"""SPEC sheet 01: the largest number JavaScript counts to."""


@dataclass(frozen=True, slots=True)
class BlobId:
    """A run of blocks. `byte_offset` counts plain bytes before it in the core.

    With `block_map` the run holds not the content but the list of its blocks.
    Format: npm hyperblobs 2.12.1.
    """

    block_offset: int
    block_length: int
    byte_offset: int
    byte_length: int
    block_map: bool = False

    @property
    def block_end(self) -> int:
        """The block after the run."""
        return self.block_offset + self.block_length

    def to_json(self, *, batch_order: bool = False) -> dict[str, Json]:
        """The fields in the order upstream's streams write them (or its batches)."""
        fields: dict[str, Json]
        if batch_order:
            fields = {
                "blockOffset": self.block_offset,
                "blockLength": self.block_length,
                "byteOffset": self.byte_offset,
                "byteLength": self.byte_length,
            }
        else:
            fields = {
                "blockOffset": self.block_offset,
                "byteOffset": self.byte_offset,
                "blockLength": self.block_length,
                "byteLength": self.byte_length,
            }
        if self.block_map:
            fields["blockMap"] = True
        return fields

    @classmethod
    def from_json(cls, value: object) -> "BlobId":
        """Read an id by the names of its fields; PeerError if one is missing or no count."""
        if not isinstance(value, dict):
            raise PeerError("a blob id that is no object")
        return cls(
            _count(value, "blockOffset"),
            _count(value, "blockLength"),
            _count(value, "byteOffset"),
            _count(value, "byteLength"),
            bool(value.get("blockMap")),
        )


def _count(fields: dict[object, object], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise PeerError(f"a blob id whose {name} is no count")
    return value
