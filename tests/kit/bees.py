"""A bee on a core in memory, and operations given as JSON."""

from typing import Any

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.bee import BeeEntry, Hyperbee, Metadata
from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.storage import MemoryStorage

KEY_PAIR = KeyPair.from_seed(bytes(32))


async def new_core(encryption_key: bytes | None = None) -> Hypercore:
    """An empty core that we may write, nothing on disk."""
    return await Hypercore.open(MemoryStorage(), key_pair=KEY_PAIR, encryption_key=encryption_key)


async def new_bee(*, metadata: Metadata | None = None, always_duplicate: bool = True) -> Hyperbee:
    """An empty bee that we may write."""
    return Hyperbee(await new_core(), metadata=metadata, always_duplicate=always_duplicate)


async def filled_bee(blocks: list[bytes]) -> Hyperbee:
    """A bee with these very blocks."""
    core = await new_core()
    await core.append(blocks)
    return Hyperbee(core)


async def blocks_of(core: Hypercore) -> list[bytes]:
    """All blocks of a core, decrypted."""
    return await core.get_many(0, core.length)


def from_hex(text: str | None) -> bytes | None:
    """Bytes of hex digits; None stays None."""
    return None if text is None else bytes.fromhex(text)


def as_json(entry: BeeEntry | None) -> dict[str, Any] | None:
    """An entry as the vectors have it."""
    if entry is None:
        return None
    value = None if entry.value is None else entry.value.hex()
    return {"seq": entry.seq, "key": entry.key.hex(), "value": value}
