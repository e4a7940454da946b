"""What a drive keeps of one path, and the JSON text it is in the bee."""

from dataclasses import dataclass

from pearbox_edge.data.blobs import BlobId, Json
from pearbox_edge.errors import PeerError

from .json_text import parse, stringify


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or link of a drive; `seq` is the block of the bee that says so.

    `blob` is None for links and for entries without content.
    Format: npm hyperdrive 13.3.4.
    """

    path: str
    seq: int
    executable: bool = False
    linkname: str | None = None
    blob: BlobId | None = None
    metadata: Json = None

    @property
    def size(self) -> int | None:
        """Bytes of the content; None if only the blob's map knows (`Hyperdrive.size` reads it)."""
        if self.blob is None:
            return 0
        return None if self.blob.block_map else self.blob.byte_length


def encode_value(
    *,
    executable: bool = False,
    linkname: str | None = None,
    blob: BlobId | None = None,
    metadata: Json = None,
) -> bytes:
    """Write the value of an entry, byte for byte as upstream does; InputError for bad metadata."""
    value: dict[str, Json] = {
        "executable": executable,
        "linkname": linkname,
        "blob": None if blob is None else blob.to_json(),
        "metadata": metadata,
    }
    return stringify(value).encode()


def decode_entry(key: bytes, seq: int, value: bytes | None) -> Entry:
    """Read an entry; what is missing has its default. PeerError for anything that is none."""
    try:
        path = str(key, "utf-8")
    except UnicodeDecodeError:
        raise PeerError(f"entry {seq} has a name that is not UTF-8") from None
    fields = None if value is None else parse(value)
    if not isinstance(fields, dict):
        raise PeerError(f"entry {seq} is no JSON object")
    linkname, blob = fields.get("linkname"), fields.get("blob")
    if linkname is not None and not isinstance(linkname, str):
        raise PeerError(f"entry {seq} links to something that is no path")
    return Entry(
        path,
        seq,
        bool(fields.get("executable")),
        linkname or None,
        None if blob is None else BlobId.from_json(blob),
        fields.get("metadata"),
    )
