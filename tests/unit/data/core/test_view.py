"""What a core shows of itself, and who may do what."""

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import EncryptionMode, Hypercore, Manifest, Signer
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.ids import CoreKey
from tests.kit.cores import WRITER, full_core

OTHER = KeyPair.from_seed(bytes(32))


async def test_a_writer_sees_its_numbers() -> None:
    core = await full_core([b"one", b"", b"three"])
    assert (core.length, core.fork, core.byte_length) == (3, 0, 8)
    assert (core.contiguous_length, core.bitfield.count) == (3, 3)
    assert core.has(0)
    assert core.has(0, 3)
    assert not core.has(0, 4)
    assert core.writable
    assert not core.is_compat


async def test_a_reader_may_not_write() -> None:
    core = await Hypercore.open(MemoryStorage(), key=CoreKey(bytes(32)))
    assert not core.writable
    for step in (core.append([b"x"]), core.truncate(0)):
        with pytest.raises(UsageError):
            await step


async def test_another_key_pair_may_not_write() -> None:
    manifest = Manifest.default(WRITER.public_key)
    core = await Hypercore.open(MemoryStorage(), manifest=manifest, key_pair=OTHER)
    assert not core.writable


async def test_a_core_of_old_writes_under_its_own_key() -> None:
    storage = MemoryStorage()
    core = await Hypercore.open(storage, key=CoreKey(WRITER.public_key), key_pair=WRITER)
    assert core.is_compat
    await core.append([b"old"])
    assert len(core.head.signature) == 64
    again = await Hypercore.open(storage, key=core.key)
    assert again.is_compat
    assert await again.get(0) == b"old"


@pytest.mark.parametrize("mode", [None, *EncryptionMode])
@pytest.mark.parametrize("compat", [False, True])
async def test_encrypted_blocks_read_back_and_do_not_show_their_padding(
    mode: EncryptionMode | None, compat: bool
) -> None:
    storage = MemoryStorage()
    key = CoreKey(WRITER.public_key) if compat else None
    core = await Hypercore.open(storage, key=key, key_pair=WRITER)
    core.set_encryption(bytes(range(32)), mode)
    assert core.encrypted
    await core.append([b"secret", b""])
    await core.truncate(1)
    await core.append([b"more"])
    assert await core.get_many(0, 2) == [b"secret", b"more"]
    assert (core.byte_length, core.head.byte_length) == (10, 26)
    assert await core.seek(7) == (1, 1)
    blind = await Hypercore.open(storage, key=core.key)
    assert len(await blind.get(0)) == 14
    assert b"secret" not in await blind.get(0)


async def test_the_mode_follows_the_core() -> None:
    old = await Hypercore.open(
        MemoryStorage(),
        key=CoreKey(WRITER.public_key),
        key_pair=WRITER,
        encryption_key=bytes(32),
        encryption_mode=EncryptionMode.COMPAT,
    )
    await old.append([b"x"])
    again = await Hypercore.open(old.storage, key=old.key, encryption_key=bytes(32))
    assert await again.get(0) == b"x"


async def test_a_closed_core_says_so() -> None:
    core = await full_core([b"x"])
    core.session()
    await core.close()
    assert await core.get(0) == b"x"
    await core.close()
    for step in (core.get(0), core.append([b"y"]), core.prove_many([])):
        with pytest.raises(UnavailableError):
            await step
    with pytest.raises(UnavailableError):
        core.session()


@pytest.mark.parametrize(
    "opening",
    [
        {},
        {"key": CoreKey(bytes(32)), "manifest": Manifest((Signer(OTHER.public_key),), 1)},
    ],
)
async def test_what_does_not_belong_together_is_a_bug(opening: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        await Hypercore.open(MemoryStorage(), **opening)  # type: ignore[arg-type]
