"""The whole core: against a list, through reopening, cancellation and a failing disk."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import (
    Accepted,
    BlockRequest,
    CoreListener,
    Hypercore,
    Manifest,
    Prologue,
    Proof,
    ProofRequest,
    Signer,
    UpgradeRequest,
    assemble,
    sign_share,
)
from pearbox_edge.data.core import aio as shell
from pearbox_edge.data.core.verifier import sign_head
from pearbox_edge.data.storage import Changeset, MemoryStorage
from pearbox_edge.errors import PeerError, StorageError, UnavailableError, UsageError
from tests.kit.cores import WRITER, full_core, grown

BLOCKS = [bytes([i % 251]) * (i % 9 + 1) for i in range(40)]


class Diary(CoreListener):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_head(self) -> None:
        self.heard.append(("head",))

    def on_blocks(self, start: int, count: int) -> None:
        self.heard.append(("blocks", start, count))

    def on_clear(self, start: int, count: int) -> None:
        self.heard.append(("clear", start, count))

    def on_truncate(self, length: int, fork: int) -> None:
        self.heard.append(("truncate", length, fork))

    def on_conflict(self) -> None:
        self.heard.append(("conflict",))


class FailingStorage(MemoryStorage):
    """Commits until told to fail; may wait at a gate first."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.gate: asyncio.Event | None = None
        self.commits = 0

    async def commit(self, changeset: Changeset) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            raise StorageError("the disk is full")
        self.commits += 1
        await super().commit(changeset)


async def prove(core: Hypercore, request: ProofRequest) -> Proof:
    [answer] = await core.prove_many([request])
    assert isinstance(answer, Proof)
    return answer


async def head_proof(core: Hypercore, start: int = 0) -> Proof:
    upgrade = UpgradeRequest(start, core.length - start)
    return await prove(core, ProofRequest(core.fork, upgrade=upgrade, manifest=start == 0))


async def copied(
    core: Hypercore, storage: MemoryStorage | None = None, blocks: list[int] | None = None
) -> Hypercore:
    """A reader with the head and some blocks (all if None)."""
    reader = await Hypercore.open(storage or MemoryStorage(), key=core.key)
    await reader.accept_many([await head_proof(core)])
    for index in range(core.length) if blocks is None else blocks:
        nodes = await reader.missing_nodes(index)
        proof = await prove(core, ProofRequest(core.fork, BlockRequest(index, nodes)))
        assert await reader.accept_many([proof]) == [Accepted(index)]
    return reader


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.binary(max_size=6), max_size=5)),
        st.tuples(st.just("truncate"), st.integers(0, 20)),
        st.tuples(st.just("clear"), st.tuples(st.integers(0, 20), st.integers(0, 20))),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("follow"), st.none()),
    ),
    max_size=10,
)


async def live(steps: list[tuple[str, Any]], key: bytes | None) -> None:
    model: list[bytes | None] = []
    forks = 0
    storage = MemoryStorage()
    core = await Hypercore.open(storage, key_pair=WRITER, encryption_key=key)
    reader = await Hypercore.open(MemoryStorage(), key=core.key, encryption_key=key)
    for what, value in steps:
        match what:
            case "append":
                model += value
                assert await core.append(value) == len(model)
            case "truncate":
                del model[value:]
                await core.truncate(min(value, core.length))
                forks += 1
            case "clear":
                start, end = value
                model[start:end] = [None] * len(model[start:end])
                await core.clear(start, end)
            case "follow" if core.length:
                await follow(reader, core)
            case _:
                await core.close()
                core = await Hypercore.open(storage, key_pair=WRITER, encryption_key=key)
        await agree(core, model)
        assert core.fork == forks
    if core.length:
        await follow(reader, core)
        assert reader.head == core.head
    await core.close()
    await reader.close()


async def follow(reader: Hypercore, core: Hypercore) -> None:
    """Bring a reader up to date, over forks too, and compare what both hold."""
    if reader.fork != core.fork:
        assert await reader.accept_many([await head_proof(core)]) == [
            Accepted(upgraded=True, truncated=True)
        ]
    elif reader.length != core.length:
        [result] = await reader.accept_many([await head_proof(core, reader.length)])
        assert result == Accepted(upgraded=True)
    for index in range(core.length):
        if core.has(index) and not reader.has(index):
            nodes = await reader.missing_nodes(index)
            proof = await prove(core, ProofRequest(core.fork, BlockRequest(index, nodes)))
            assert await reader.accept_many([proof]) == [Accepted(index)]
        if core.has(index):
            assert await reader.get(index) == await core.get(index)


async def agree(core: Hypercore, model: list[bytes | None]) -> None:
    assert core.length == len(model)
    assert core.bitfield.count == sum(block is not None for block in model)
    first_gap = model.index(None) if None in model else len(model)
    assert core.contiguous_length == first_gap
    for index, block in enumerate(model):
        assert core.has(index) is (block is not None)
        if block is None:
            with pytest.raises(UnavailableError):
                await core.get(index)
        else:
            assert await core.get(index) == block
    if None not in model:
        blocks = [block for block in model if block is not None]
        assert await core.get_many(0, len(model)) == blocks
        assert core.byte_length == sum(map(len, blocks))


@settings(max_examples=60)
@given(STEPS, st.sampled_from([None, bytes(32)]))
def test_a_core_and_its_reader_agree_with_a_list(
    steps: list[tuple[str, Any]], key: bytes | None
) -> None:
    asyncio.run(live(steps, key))


async def test_an_append_signs_and_writes_once() -> None:
    storage = FailingStorage()
    core = await Hypercore.open(storage, key_pair=WRITER)
    storage.commits = 0
    await core.append(BLOCKS)
    assert storage.commits == 1
    assert await core.append([]) == len(BLOCKS)
    assert storage.commits == 1


async def test_a_block_that_no_message_could_carry_is_refused() -> None:
    core = await full_core([])
    with pytest.raises(UsageError):
        await core.append([b"x", memoryview(bytearray(shell.MAX_BLOCK_SIZE + 1))])
    assert core.length == 0


async def test_appends_at_the_same_time_follow_each_other() -> None:
    core = await full_core([])
    await asyncio.gather(*(core.append([b"%d" % i]) for i in range(10)))
    assert sorted(await core.get_many(0, 10)) == [b"%d" % i for i in range(10)]


async def test_a_head_shows_only_when_it_is_durable() -> None:
    storage = FailingStorage()
    core = await Hypercore.open(storage, key_pair=WRITER)
    storage.gate = asyncio.Event()
    appending = asyncio.ensure_future(core.append([b"x"]))
    await asyncio.sleep(0.01)
    assert core.length == 0
    assert not core.has(0)
    storage.gate.set()
    assert await appending == 1


async def test_a_cancelled_append_is_finished_all_the_same() -> None:
    storage = FailingStorage()
    core = await Hypercore.open(storage, key_pair=WRITER)
    storage.gate = asyncio.Event()
    appending = asyncio.ensure_future(core.append([b"x"]))
    await asyncio.sleep(0.01)
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    storage.gate.set()
    assert await core.append([b"y"]) == 2
    assert await core.get_many(0, 2) == [b"x", b"y"]


@pytest.mark.parametrize(
    "step",
    [
        lambda core: core.append([b"z"]),
        lambda core: core.truncate(3),
        lambda core: core.clear(2, 5),
        lambda core: core.set_user_data("name", b"value"),
    ],
)
async def test_a_step_that_fails_on_disk_changes_nothing(
    step: Callable[[Hypercore], Awaitable[object]],
) -> None:
    storage = FailingStorage()
    core = await Hypercore.open(storage, key_pair=WRITER)
    await core.append(BLOCKS)
    storage.failing = True
    with pytest.raises(StorageError):
        await step(core)
    assert (core.length, core.fork, core.bitfield.count) == (40, 0, 40)
    assert await core.get_many(0, 40) == BLOCKS
    assert core.user_data == {}
    storage.failing = False
    await step(core)


async def test_a_reader_whose_disk_fails_stops_accepting_and_keeps_serving() -> None:
    core = await full_core(BLOCKS)
    storage = FailingStorage()
    reader = await copied(core, storage, [0, 1])
    await reader.settled()
    storage.failing = True
    proof = await prove(core, ProofRequest(0, BlockRequest(2, await reader.missing_nodes(2))))
    await reader.accept_many([proof])
    with pytest.raises(StorageError):
        await reader.settled()
    with pytest.raises(StorageError):
        await reader.accept_many([proof])
    assert await reader.get(0) == BLOCKS[0]
    assert await reader.get(2) == BLOCKS[2]
    assert (await prove(reader, ProofRequest(0, BlockRequest(1, 0)))).block is not None
    await reader.close()


async def test_listeners_hear_of_blocks_only_when_they_are_durable() -> None:
    core = await full_core(BLOCKS)
    storage = FailingStorage()
    reader = await copied(core, storage, [])
    await reader.settled()
    diary = Diary()
    reader.add_listener(diary)
    storage.gate = asyncio.Event()
    for index in (4, 6, 5, 9):
        nodes = await reader.missing_nodes(index)
        await reader.accept_many([await prove(core, ProofRequest(0, BlockRequest(index, nodes)))])
    assert await reader.get(5) == BLOCKS[5]
    assert diary.heard == []
    storage.gate.set()
    await reader.settled()
    assert diary.heard == [("blocks", 4, 3), ("blocks", 9, 1)]


async def test_listeners_hear_every_change() -> None:
    core = await full_core(BLOCKS)
    diary = Diary()
    core.add_listener(diary)
    await core.append([b"x"])
    await core.clear(3, 6)
    await core.truncate(8)
    core.remove_listener(diary)
    await core.append([b"y"])
    assert diary.heard == [
        ("head",),
        ("blocks", 40, 1),
        ("clear", 3, 3),
        ("truncate", 8, 1),
    ]


async def test_accepting_waits_while_too_much_is_staged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "STAGED_BYTES", 10)
    core = await full_core([bytes(100)] * 4)
    storage = FailingStorage()
    reader = await copied(core, storage, [])
    await reader.settled()
    storage.gate = asyncio.Event()
    proof = await prove(core, ProofRequest(0, BlockRequest(0, 2)))
    accepting = asyncio.ensure_future(reader.accept_many([proof]))
    await asyncio.sleep(0.01)
    assert not accepting.done()
    storage.gate.set()
    assert await accepting == [Accepted(0)]


async def test_a_reader_keeps_what_two_forks_share() -> None:
    core = await full_core(BLOCKS[:20])
    reader = await copied(core)
    view = reader.snapshot()
    diary = Diary()
    reader.add_listener(diary)
    await core.truncate(17)
    await core.append([b"new"])
    assert await reader.accept_many([await head_proof(core)]) == [
        Accepted(upgraded=True, truncated=True)
    ]
    # Whole roots are kept: 16 of the 17 blocks that both have.
    assert (reader.head, reader.contiguous_length) == (core.head, 16)
    assert ("truncate", 16, 1) in diary.heard
    assert view.has(15)
    assert not view.has(16)
    await follow(reader, core)
    await reader.close()
    again = await Hypercore.open(reader.storage, key=core.key)
    assert await again.get_many(0, 18) == [*BLOCKS[:17], b"new"]


async def test_a_head_of_a_higher_fork_must_be_signed() -> None:
    core = await full_core(BLOCKS[:20])
    reader = await copied(core)
    await core.truncate(5)
    proof = await head_proof(core)
    assert proof.upgrade is not None
    forged = replace(proof, fork=9)
    partial = replace(proof, upgrade=proof.upgrade._replace(start=3, length=2))
    for lie in (forged, partial):
        [result] = await reader.accept_many([lie])
        assert isinstance(result, PeerError)
    assert (reader.length, reader.fork) == (20, 0)
    assert await reader.get_many(0, 20) == BLOCKS[:20]


async def test_a_block_of_an_older_fork_is_refused() -> None:
    core = await full_core(BLOCKS[:20])
    reader = await copied(core, blocks=[])
    old = await prove(core, ProofRequest(0, BlockRequest(3, 4)))
    await core.truncate(5)
    await reader.accept_many([await head_proof(core)])
    [result] = await reader.accept_many([old])
    assert isinstance(result, PeerError)


async def test_a_core_that_was_signed_twice_is_frozen_for_good() -> None:
    core = await full_core(BLOCKS[:20])
    reader = await copied(core)
    twin = await full_core([*BLOCKS[:19], b"else"])
    diary = Diary()
    reader.add_listener(diary)
    assert not await reader.check_conflict(await head_proof(core))
    proof = await head_proof(twin)
    assert proof.upgrade is not None
    other = KeyPair.from_seed(bytes(32))
    manifest = core.manifest
    assert manifest is not None
    forged = sign_head(core.key, manifest, WRITER, 20, 1, grown(BLOCKS[:20]).hash())
    with pytest.raises(PeerError):
        await reader.check_conflict(
            replace(proof, upgrade=proof.upgrade._replace(signature=forged))
        )
    assert other != WRITER
    assert await reader.check_conflict(proof)
    assert diary.heard == [("conflict",)]
    with pytest.raises(UnavailableError):
        await reader.accept_many([proof])
    await reader.close()
    again = await Hypercore.open(reader.storage, key=core.key)
    assert again.conflicted
    with pytest.raises(UnavailableError):
        await again.clear(0, 1)


async def test_user_data_is_kept_beside_the_core() -> None:
    core = await full_core([])
    await core.set_user_data("referrer", b"who")
    await core.set_user_data("other", b"what")
    await core.set_user_data("other", None)
    again = await Hypercore.open(core.storage, key=core.key)
    assert again.user_data == {"referrer": b"who"}


async def test_a_missing_block_is_asked_for_and_then_read() -> None:
    core = await full_core(BLOCKS)
    reader = await copied(core, blocks=[])

    class Friend:
        async def fetch(self, index: int) -> None:
            nodes = await reader.missing_nodes(index)
            proof = await prove(core, ProofRequest(0, BlockRequest(index, nodes)))
            await reader.accept_many([proof])

        async def fetch_range(self, start: int, end: int) -> None:
            for index in range(start, end):
                await self.fetch(index)

        async def update(self) -> bool:
            proof = await head_proof(core, reader.length)
            return await reader.accept_many([proof]) == [Accepted(upgraded=True)]

        async def seek(self, byte_offset: int) -> None:
            request = await reader.seek_request(byte_offset)
            assert request is not None
            await reader.accept_many([await prove(core, request)])

    reader.fetcher = Friend()
    assert await reader.get(7) == BLOCKS[7]
    assert await reader.get_many(10, 20) == BLOCKS[10:20]
    before = sum(map(len, BLOCKS[:33]))
    assert await reader.seek(before + 3) == (33, 3)
    await core.append([b"new"])
    assert await reader.update()
    assert await reader.get(40) == b"new"
    assert not await reader.update() if reader.length < core.length else True


@pytest.mark.parametrize("padding_key", [None, bytes(32)])
@pytest.mark.parametrize("byte", [0, 1, 5, 60, 100, 150, 199, 200])
async def test_seek_narrows_down_step_by_step(byte: int, padding_key: bytes | None) -> None:
    core = await Hypercore.open(MemoryStorage(), key_pair=WRITER, encryption_key=padding_key)
    await core.append(BLOCKS)
    reader = await copied(core, blocks=[])
    if padding_key is not None:
        reader.set_encryption(padding_key)
    rounds = 0
    while (request := await reader.seek_request(byte)) is not None:
        result = await reader.accept_many([await prove(core, request)])
        assert not isinstance(result[0], PeerError)
        rounds += 1
        assert rounds < 8
    if byte <= core.byte_length:
        assert await reader.seek(byte) == await core.seek(byte)
    else:
        with pytest.raises(UnavailableError):
            await reader.seek(byte)


async def test_a_fetch_that_takes_too_long_is_given_up() -> None:
    reader = await copied(await full_core(BLOCKS), blocks=[])

    class Sleeper:
        async def fetch(self, index: int) -> None:
            await asyncio.sleep(60)

        async def fetch_range(self, start: int, end: int) -> None:
            await asyncio.sleep(60)

        async def update(self) -> bool:
            await asyncio.sleep(60)
            return False

        async def seek(self, byte_offset: int) -> None:
            await asyncio.sleep(60)

    reader.fetcher = Sleeper()
    waits: list[Awaitable[object]] = [
        reader.get(1, timeout=0.01),
        reader.get_many(1, 3, timeout=0.01),
        reader.update(timeout=0.01),
        reader.seek(50, timeout=0.01),
    ]
    for wait in waits:
        with pytest.raises(UnavailableError) as late:
            await wait
        assert late.value.code == "REQUEST_TIMEOUT"


async def test_without_anybody_to_ask_a_missing_block_is_unavailable() -> None:
    reader = await copied(await full_core(BLOCKS), blocks=[3])
    assert not await reader.update()
    for wait in (reader.get(4), reader.get_many(3, 5), reader.seek(60), reader.download(0, 9)):
        with pytest.raises(UnavailableError):
            await wait
    assert await reader.get(3) == BLOCKS[3]


@pytest.mark.parametrize(("length", "fork"), [(41, None), (-1, None), (3, 0)])
async def test_a_truncation_that_makes_no_sense_is_a_bug(length: int, fork: int | None) -> None:
    core = await full_core(BLOCKS)
    with pytest.raises(UsageError):
        await core.truncate(length, fork)


async def test_a_writer_may_choose_a_higher_fork() -> None:
    core = await full_core(BLOCKS)
    await core.truncate(3, 7)
    assert (core.length, core.fork) == (3, 7)


async def test_which_lengths_can_be_upgraded_from_is_told() -> None:
    core = await full_core(BLOCKS)
    assert [await core.can_upgrade_from(n) for n in (0, 5, 40, 41)] == [True, True, True, False]
    reader = await copied(core, blocks=[])
    assert [await reader.can_upgrade_from(n) for n in (0, 5, 40)] == [True, False, True]


async def test_a_missing_hash_knows_its_way() -> None:
    reader = await copied(await full_core(BLOCKS), blocks=[])
    assert await reader.missing_hash_nodes(1) == 4


async def test_two_of_three_signers_append_together() -> None:
    pairs = [KeyPair.from_seed(bytes([seed]) * 32) for seed in (1, 2, 3)]
    manifest = Manifest.create(tuple(Signer(pair.public_key) for pair in pairs))
    core = await Hypercore.open(MemoryStorage(), manifest=manifest, key_pair=pairs[0])
    assert not core.writable
    head = await core.draft([b"one", b"two"])
    shares = [
        sign_share(core.key, manifest, pair, head.length, head.fork, head.tree_hash)
        for pair in pairs[1:]
    ]
    with pytest.raises(UsageError):
        assemble(manifest, shares[:1], head.length)
    blob = assemble(manifest, shares, head.length)
    with pytest.raises(UsageError):
        await core.append([b"one", b"else"], signature=blob)
    assert await core.append([b"one", b"two"], signature=blob) == 2
    reader = await Hypercore.open(MemoryStorage(), key=core.key)
    await reader.accept_many([await head_proof(core)])
    assert reader.length == 2


async def test_a_static_core_takes_its_prologue_and_nothing_else() -> None:
    tree = grown([b"one", b"two"])
    manifest = Manifest.create(prologue=Prologue(tree.hash(), 2))
    core = await Hypercore.open(MemoryStorage(), manifest=manifest)
    with pytest.raises(UsageError):
        await core.append([b"one", b"else"], signature=b"")
    assert await core.append([b"one", b"two"], signature=b"") == 2
    with pytest.raises(UsageError):
        await core.append([b"three"], signature=b"")
