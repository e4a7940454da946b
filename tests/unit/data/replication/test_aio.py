import asyncio
from collections.abc import Callable

import pytest

from pearbox_edge.data.core import BlockPart, BlockRequest, Hypercore, Proof, ProofRequest
from pearbox_edge.data.replication import Peer, Replicator, capability
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.replication.messages import PROTOCOL, MessageType
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.ids import CoreKey
from pearbox_edge.net.mux import Channel, Mux
from tests.kit.replication import connected, make_store, settle, stream_pair
from tests.kit.wire_messages import joined

BLOCKS = [bytes([i % 251]) * (1 + 37 * i % 400) for i in range(300)]


async def filled(store: Corestore, blocks: list[bytes], name: str = "db") -> Hypercore:
    core = await store.get(name)
    await core.append(blocks)
    return core


async def copy_of(store: Corestore, core: Hypercore) -> Hypercore:
    return await store.get(key=core.key)


async def test_a_whole_core_is_copied() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            assert copy.length == len(BLOCKS)
            await copy.download(0, copy.length)
            assert await copy.get_many(0, copy.length) == BLOCKS
            assert two.links[0].traffic.blocks_received == len(BLOCKS)
            assert one.links[0].traffic.bytes_sent == sum(map(len, BLOCKS))


async def test_only_what_is_read_is_fetched() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two):
            assert await copy.get(123) == BLOCKS[123]
            assert await copy.get_many(200, 203) == BLOCKS[200:203]
            assert two.links[0].traffic.blocks_received == 4


async def test_appends_are_followed_live() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, [])
        copy = await copy_of(two, core)
        async with connected(one, two):
            waiting = asyncio.ensure_future(copy.get(1))
            await settle()
            await core.append([b"a"])
            await core.append([b"b", b"c"])
            assert await waiting == b"b"
            await copy.update()
            assert copy.length == 3


async def test_what_was_held_before_is_not_fetched_again() -> None:
    storage = MemoryStorage()
    async with make_store(1) as one:
        core = await filled(one, BLOCKS[:50])
        async with make_store(2, storage) as two:
            copy = await copy_of(two, core)
            async with connected(one, two):
                await copy.update()
                await copy.download(10, 40)
        await core.append(BLOCKS[50:60])
        async with make_store(2, storage) as two:
            copy = await copy_of(two, core)
            assert copy.length == 50
            async with connected(one, two, b"again"):
                await copy.update()
                await copy.download(0, 60)
                assert two.links[0].traffic.blocks_received == 30
                assert await copy.get_many(0, 60) == BLOCKS[:60]


async def test_two_sparse_copies_fill_each_other() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS)
        left, right = await copy_of(two, core), await copy_of(three, core)
        async with connected(one, two), connected(one, three):
            await left.update()
            await right.update()
            await left.download(0, 100)
            await right.download(100, 300)
        async with connected(two, three, b"later"):
            await left.download(0, 300)
            await right.download(0, 300)
            assert await left.get_many(0, 300) == await right.get_many(0, 300) == BLOCKS


async def test_several_peers_share_the_work() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS * 5)
        second = await copy_of(two, core)
        async with connected(one, two):
            await second.update()
            await second.download(0, 1500)
        third = await copy_of(three, core)
        async with connected(one, three, b"1"), connected(two, three, b"2"):
            await third.update()
            await settle()
            await third.download(0, 1500)
            received = [link.traffic.blocks_received for link in three.links]
            assert sum(received) == 1500
            assert min(received) > 100


async def test_what_a_lost_peer_owed_is_asked_elsewhere() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            async with silent_peer(two, core.key, length=300) as silent:
                await copy.update()
                done = asyncio.ensure_future(copy.download(0, 300))
                await settle()
                assert not done.done()
                assert silent.requests
            await done
            assert await copy.get_many(0, 300) == BLOCKS


async def test_a_peer_that_does_not_answer_is_dropped() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            async with silent_peer(two, core.key, length=300) as silent:
                await copy.update()
                done = asyncio.ensure_future(copy.download(0, 300))
                await settle()
                now = asyncio.get_running_loop().time()
                stalled = next(link for link in two.links if link.peers[0].stalls_at())
                stalled.expire(now + 5)
                with pytest.raises(PeerError):
                    stalled.expire(now + 60)
                stalled.fail(PeerError("stalled"))
                with pytest.raises(PeerError):
                    await silent.replicating
            await done


async def test_bad_data_drops_the_peer_and_the_others_go_on() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            await copy.update()

            def lie(request: m.Request) -> bytes | None:
                block = request.want.block
                if block is None:
                    return None
                proof = Proof(0, BlockPart(block.index, b"a lie", []))
                return joined(m.encode_data(m.Data(request.id, proof)))

            async with silent_peer(two, core.key, length=300, answer=lie) as liar:
                await settle()
                await copy.download(0, 300)
                with pytest.raises(PeerError) as caught:
                    await liar.replicating
                assert caught.value.code in {"INVALID_PROOF", "INVALID_OPERATION"}
            assert await copy.get_many(0, 300) == BLOCKS


async def test_a_peer_that_refuses_is_passed_over() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)

        def refuse(request: m.Request) -> bytes | None:
            return m.encode_no_data(m.NoData(request.id, 1))

        async with silent_peer(two, core.key, length=300, answer=refuse) as peer:
            await settle()
            async with connected(one, two, b"good"):
                await copy.update()
                await copy.download(0, 300)
            assert not peer.replicating.done()


async def test_a_reader_that_gives_up_cancels_its_requests() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            await copy.update()
        async with silent_peer(two, core.key, length=300) as silent:
            await settle()
            with pytest.raises(UnavailableError):
                await copy.get(7, timeout=0.01)
            await settle()
            assert [one.want.block for one in silent.requests] == [BlockRequest(7, 8)]
            assert silent.cancels == [silent.requests[0].id]


async def test_an_update_returns_at_once_when_nobody_has_news() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:3])
        copy = await copy_of(two, core)
        assert not await copy.update()
        async with connected(one, two):
            await settle()
            await copy.update()
            assert copy.length == 3
            async with asyncio.timeout(1):
                assert not await copy.update()


async def test_an_update_waits_while_peers_are_being_found() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:3])
        copy = await copy_of(two, core)
        with two.finding_peers():
            update = asyncio.ensure_future(copy.update())
            await settle()
            assert not update.done()
            async with connected(one, two):
                assert await update
        async with asyncio.timeout(1):
            assert not await copy.update()


async def test_bytes_are_found_without_fetching_what_is_before_them() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        offset = sum(map(len, BLOCKS[:211])) + 5
        async with connected(one, two):
            await copy.update()
            assert await copy.seek(offset) == (211, 5)
            assert two.links[0].traffic.blocks_received == 0


async def test_cleared_blocks_are_taken_back_and_then_fetched_elsewhere() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS)
        second, third = await copy_of(two, core), await copy_of(three, core)
        async with connected(one, two, b"12"), connected(one, three, b"13"):
            await second.update()
            await third.update()
            await second.download(0, 300)
            await core.clear(50, 60)
            await settle()
            waiting = asyncio.ensure_future(third.download(0, 300))
            await settle(200)
            assert not waiting.done()
            async with connected(two, three, b"23"):
                await waiting


async def test_a_truncated_core_is_followed_to_its_new_fork() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            await copy.download(0, 20)
            await core.truncate(12)
            await core.append([b"other", b"end"])
            await settle()
            assert await copy.get(13) == b"end"
            assert (copy.fork, copy.length) == (1, 14)
            assert await copy.get_many(0, 13) == [*BLOCKS[:12], b"other"]


async def test_an_encrypted_core_is_copied_by_who_cannot_read_it() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await one.get("db", encryption_key=b"e" * 32)
        await core.append(BLOCKS[:30])
        blind = await copy_of(two, core)
        reader = await three.get(key=core.key, encryption_key=b"e" * 32)
        async with connected(one, two):
            await blind.update()
            await blind.download(0, 30)
        async with connected(two, three):
            await reader.update()
            assert await reader.get_many(0, 30) == BLOCKS[:30]
            assert await reader.seek(sum(map(len, BLOCKS[:17])) + 2) == (17, 2)


async def test_idle_channels_are_closed_and_opened_again_on_demand() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:9])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            for store in (one, two):
                for link in store.links:
                    for peer in link.peers:
                        owner_of(peer).set_downloading(False)
            await settle()
            assert [link.peers for link in (*one.links, *two.links)] == [[], []]
            assert await copy.get(4) == BLOCKS[4]


async def test_invalid_requests_are_refused_ever_more_slowly() -> None:
    async with make_store(1) as one:
        core = await filled(one, BLOCKS[:9])
        async with silent_peer(one, core.key, length=0) as peer:
            await settle()
            want = ProofRequest(0, BlockRequest(3, 40))
            peer.channel.send(MessageType.REQUEST, m.encode_request(m.Request(1, want)))
            missing = ProofRequest(0, BlockRequest(99, 0))
            peer.channel.send(MessageType.REQUEST, m.encode_request(m.Request(2, missing)))
            async with asyncio.timeout(5):
                await peer.refused_twice.wait()
            assert peer.refused == [m.NoData(1, 2), m.NoData(2, 1)]


async def test_wants_are_answered_with_the_map() -> None:
    async with make_store(1) as one:
        core = await filled(one, BLOCKS[:100])
        async with silent_peer(one, core.key, length=0) as peer:
            await settle()
            peer.said.clear()
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 21)))
            await settle()
            assert peer.said == [m.Range(0, 100)]
            await core.clear(10, 99)
            await settle()
            peer.said.clear()
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 21)))
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(32, 64, any=True)))
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 22)))
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(64, 64, any=True)))
            await settle()
            words = b"\xff\x03" + bytes(10) + b"\x08\0\0\0"
            assert peer.said == [m.BitfieldMessage(0, words), m.Range(99, 1)]


async def test_nothing_is_left_behind_when_streams_end() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        before = asyncio.all_tasks()
        async with connected(one, two):
            await copy.update()
            waiting = asyncio.ensure_future(copy.download(0, 300))
            await asyncio.sleep(0)
        assert two.links == one.links == []
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        leftover = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not {name for name in leftover if "replicate" in name}
        assert len(leftover) <= 1  # the committer of the core that received blocks


async def test_a_closed_core_fails_its_readers() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, [])
        copy = await copy_of(two, core)
        waiting = asyncio.ensure_future(copy.get(5))
        await settle()
    with pytest.raises(UnavailableError):
        await waiting


class SilentPeer:
    """A peer that claims blocks, notes what it is told, and answers as a test says."""

    def __init__(self, answer: Callable[[m.Request], bytes | None], length: int) -> None:
        self.requests: list[m.Request] = []
        self.cancels: list[int] = []
        self.refused: list[m.NoData] = []
        self.refused_twice = asyncio.Event()
        self.said: list[object] = []
        self.channel: Channel
        self.replicating: asyncio.Future[None]
        self._answer = answer
        self._length = length

    def on_open(self, handshake: memoryview) -> None:
        sync = m.Sync(0, self._length, self._length)
        self.channel.send(MessageType.SYNC, m.encode_sync(sync))
        if self._length:
            self.channel.send(MessageType.RANGE, m.encode_range(m.Range(0, self._length)))

    def on_message(self, type: int, body: memoryview) -> None:  # noqa: A002 -- the wire's word
        match type:
            case MessageType.REQUEST:
                request = m.decode_request(body)
                self.requests.append(request)
                answer = self._answer(request)
                if answer is not None:
                    is_data = len(answer) > 4
                    kind = MessageType.DATA if is_data else MessageType.NO_DATA
                    self.channel.send(kind, answer)
            case MessageType.CANCEL:
                self.cancels.append(m.decode_cancel(body))
            case MessageType.NO_DATA:
                self.refused.append(m.decode_no_data(body))
                if len(self.refused) == 2:
                    self.refused_twice.set()
            case MessageType.RANGE:
                self.said.append(m.decode_range(body))
            case MessageType.BITFIELD:
                start, words = m.decode_bitfield(body)
                self.said.append(m.BitfieldMessage(start, bytes(words)))
            case _:
                pass

    def on_close(self) -> None:
        pass


class silent_peer:
    """Connect a SilentPeer to a store for the time of a block."""

    def __init__(
        self,
        store: Corestore,
        key: CoreKey,
        *,
        length: int,
        answer: Callable[[m.Request], bytes | None] = lambda request: None,
    ) -> None:
        self._store = store
        self._key = key
        self._peer = SilentPeer(answer, length)
        self._tasks: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> SilentPeer:
        theirs, ours = stream_pair(b"silent")
        peer = self._peer
        mux = Mux(theirs)
        proof = capability(self._key, theirs.handshake_hash, is_initiator=True)
        entry = await self._store.get(key=self._key)
        peer.channel = mux.open(
            PROTOCOL, entry.discovery_key, peer, handshake=m.encode_handshake(m.Handshake(proof))
        )
        await entry.close()
        peer.replicating = asyncio.ensure_future(self._store.replicate(ours))
        self._tasks = [asyncio.ensure_future(mux.run()), peer.replicating]
        self._stream = theirs
        return peer

    async def __aexit__(self, *_: object) -> None:
        self._stream.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def owner_of(peer: Peer) -> Replicator:
    owner = peer._owner
    assert isinstance(owner, Replicator)
    return owner
