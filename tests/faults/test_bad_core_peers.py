"""Peers that change what they send, claim what they have not, or ask without end."""

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Iterable

import pytest

from pearbox_edge.crypto import sign
from pearbox_edge.data.core import (
    BlockRequest,
    Hypercore,
    Manifest,
    Proof,
    ProofRequest,
    UpgradePart,
    UpgradeRequest,
)
from pearbox_edge.data.core.merkle_tree import GrowingTree
from pearbox_edge.data.core.verifier import SignatureBlob, SignatureProof, encode_blob, signable
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.replication.messages import MessageType
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import PearboxError, PeerError
from tests.kit.cores import WRITER
from tests.kit.replication import (
    BLOCKS,
    MemoryStream,
    connected,
    copy_of,
    filled,
    make_store,
    settle,
    silent_peer,
    stream_pair,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

MUTATIONS = 1000
FLAT = 2 << 20
"""Bytes that may be left after a thousand bad peers: what caches and counters take."""
FEW = BLOCKS[:24]


class Tampering:
    """Changes one message on its way: a byte, its end, its place or its number of copies."""

    def __init__(self, stream: MemoryStream, seed: int) -> None:
        self._chance = random.Random(seed)
        self._feed = stream.feed
        self._at = self._chance.randrange(12)
        stream.feed = self.feed  # type: ignore[method-assign]

    def feed(self, message: bytes) -> None:
        self._at -= 1
        for changed in self._change(message) if self._at == 0 else [message]:
            self._feed(changed)

    def _change(self, message: bytes) -> Iterable[bytes]:
        chance, size = self._chance, len(message)
        place = chance.randrange(size)
        match chance.randrange(6):
            case 0 | 1:
                flipped = bytes([message[place] ^ 1 << chance.randrange(8)])
                return [message[:place] + flipped + message[place + 1 :]]
            case 2:
                return [message[:place]]
            case 3:
                return [message[:place] + chance.randbytes(8) + message[place:]]
            case 4:
                return [message, message]
            case _:
                return [message[:place] + message[place + 1 :]]


async def fetch_tampered(writer: Corestore, core: Hypercore, seed: int) -> tuple[bool, bool]:
    """Whether the stream was dropped, whether everything came all the same."""
    async with make_store(2) as reader:
        theirs, ours = stream_pair(b"%d" % seed)
        Tampering(ours, seed)
        copy = await copy_of(reader, core)
        serving = asyncio.ensure_future(writer.replicate(theirs))
        reading = asyncio.ensure_future(reader.replicate(ours))
        done = True
        try:
            async with asyncio.timeout(0.05):
                while copy.length < core.length and not reading.done():
                    await copy.update()
                await copy.download(0, core.length)
        except (TimeoutError, PearboxError):
            done = False
        dropped = reading.done() or serving.done()
        ours.abort()
        results = await asyncio.gather(serving, reading, return_exceptions=True)
        for result in results:
            assert result is None or isinstance(result, PearboxError), result
        assert copy.length in {0, core.length}
        assert not copy.conflicted
        for index in range(copy.length):
            if copy.has(index):
                assert await copy.get(index) == FEW[index]
        return dropped, done


async def test_a_thousand_changed_messages_bring_nothing_in_and_leave_nothing_behind() -> None:
    async with make_store(1) as writer:
        core = await filled(writer, FEW)
        outcomes = [await fetch_tampered(writer, core, seed) for seed in range(100)]
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for seed in range(100, MUTATIONS):
                outcomes.append(await fetch_tampered(writer, core, seed))  # noqa: PERF401
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < FLAT
        assert sum(1 for dropped, _ in outcomes if dropped) > MUTATIONS // 10
        assert (await core.get(0), core.length) == (FEW[0], len(FEW))


def endless_head(length: int) -> Proof:
    """A head of a power of two blocks that its writer signed without ever making them."""
    manifest = Manifest.default(WRITER.public_key)
    root = TreeNode(length - 1, 1 << 42, bytes(32))
    tree = GrowingTree(length, [root])
    message = signable(manifest.key, tree.hash(), length, 0)
    blob = encode_blob(SignatureBlob((SignatureProof(0, sign(message, WRITER)),)))
    return Proof(0, upgrade=UpgradePart(0, length, [root], [], blob), manifest=manifest)


async def test_a_core_of_a_million_million_blocks_costs_no_memory() -> None:
    length = 1 << 40
    head = endless_head(length)
    key = Manifest.default(WRITER.public_key).key

    def answer(request: m.Request) -> bytes | None:
        if request.want.upgrade is not None:
            return b"".join(m.encode_data(m.Data(request.id, head)))
        if request.want.block is not None:
            return m.encode_no_data(m.NoData(request.id, 1))
        return None

    async with make_store(2) as store:
        core = await store.get(key=key)
        async with silent_peer(store, key, length=length, answer=answer) as peer:
            await settle()
            sync = m.Sync(0, length, 0, has_manifest=True)
            peer.channel.send(MessageType.SYNC, m.encode_sync(sync))
            async with asyncio.timeout(5):
                while core.length != length:
                    await core.update()
            tracemalloc.start()
            try:
                reading = asyncio.ensure_future(core.download(0, length))
                far = asyncio.ensure_future(core.get(length - 1))
                await settle(500)
                peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 21)))
                peer.channel.send(MessageType.RANGE, m.encode_range(m.Range(1 << 39, 1 << 39)))
                await settle(500)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            reading.cancel()
            far.cancel()
            await asyncio.gather(reading, far, return_exceptions=True)
        assert peak < 8 << 20
        assert len(peer.requests) <= 2000


async def test_a_peer_that_asks_for_the_same_blocks_without_end_is_served_or_dropped() -> None:
    async with make_store(1) as store:
        core = await filled(store, BLOCKS)
        [proof] = await core.prove_many([ProofRequest(0, upgrade=UpgradeRequest(0, 300))])
        assert isinstance(proof, Proof)
        tracemalloc.start()
        try:
            async with silent_peer(store, core.key, length=0) as greedy:
                await settle()
                for number in range(1, 40_000):
                    want = ProofRequest(0, BlockRequest(number % 300, 0))
                    body = m.encode_request(m.Request(number, want))
                    greedy.channel.send(MessageType.REQUEST, body)
                    if number % 100 == 0:
                        await asyncio.sleep(0)
                    if greedy.replicating.done():
                        break
                _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32 << 20
        async with make_store(2) as reader:
            copy = await copy_of(reader, core)
            async with connected(store, reader):
                await copy.update()
                assert await copy.get(299) == BLOCKS[299]


async def test_a_peer_that_sends_other_blocks_than_it_was_asked_for_is_dropped() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, FEW)
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
        other = ProofRequest(0, BlockRequest(5, 2))
        [proof] = await core.prove_many([other])
        assert isinstance(proof, Proof)

        def answer(request: m.Request) -> bytes:
            return b"".join(m.encode_data(m.Data(request.id, proof)))

        async with silent_peer(two, core.key, length=len(FEW), answer=answer) as liar:
            reading = asyncio.ensure_future(copy.get(7))
            with pytest.raises(PeerError):
                await liar.replicating
            async with connected(one, two, b"later"):
                assert await reading == FEW[7]


async def test_a_writer_that_rewrites_without_a_new_fork_freezes_only_that_core() -> None:
    async with make_store(1) as honest, make_store(1) as rewritten, make_store(2) as two:
        before, after = await filled(honest, FEW), await filled(rewritten, [b"other", *FEW])
        fine = await filled(honest, FEW, "fine")
        copy = await copy_of(two, before)
        async with connected(honest, two):
            await copy.update()
        async with connected(rewritten, two):
            async with asyncio.timeout(10):
                while not copy.conflicted:
                    await settle()
            assert after.conflicted
        async with connected(honest, two, b"again"):
            other = await copy_of(two, fine)
            await other.update()
            assert await other.get(3) == FEW[3]
