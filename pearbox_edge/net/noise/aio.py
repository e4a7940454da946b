"""The secret stream on a ByteStream: a MessageStream."""

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.stream import ByteStream, Message

from .handshake import Pattern, SessionKeys
from .secret_stream import Options, SecretStreamMachine

HANDSHAKE_TIMEOUT = 10.0  # TUNING seconds for the whole handshake, so that nobody holds a place


class SecretStream:
    """Whole encrypted messages to and from one authenticated machine: a MessageStream.

    Made by `connect`, `accept` or `start`; used with `async with`, or ended by `close` or `abort`.
    It owns the byte stream below it, and one timer.
    """

    def __init__(self, raw: ByteStream, machine: SecretStreamMachine, keys: SessionKeys) -> None:
        self._raw = raw
        self._machine = machine
        self._keys = keys
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._error: PeerError | UnavailableError | None = None
        self._ended = False
        self._transmit()
        self._arm()

    @classmethod
    async def connect(
        cls,
        raw: ByteStream,
        key_pair: KeyPair,
        random_bytes: Callable[[int], bytes],
        *,
        pattern: Pattern = Pattern.XX,
        remote_public_key: PublicKey | None = None,
        timeout: float = HANDSHAKE_TIMEOUT,
        options: Options | None = None,
    ) -> Self:
        """Run the handshake as the side that dialled.

        remote_public_key: who it must be (IK needs it). Raises PeerError when the other end broke
        the format or is another machine, UnavailableError when it is too slow or gone; then `raw`
        is dropped.
        """
        machine = SecretStreamMachine.handshaking(
            pattern,
            is_initiator=True,
            key_pair=key_pair,
            random_bytes=random_bytes,
            remote_public_key=remote_public_key,
            now=asyncio.get_running_loop().time(),
            options=options,
        )
        return await cls._open(raw, machine, timeout)

    @classmethod
    async def accept(
        cls,
        raw: ByteStream,
        key_pair: KeyPair,
        random_bytes: Callable[[int], bytes],
        *,
        pattern: Pattern = Pattern.XX,
        remote_public_key: PublicKey | None = None,
        timeout: float = HANDSHAKE_TIMEOUT,
        options: Options | None = None,
    ) -> Self:
        """Run the handshake as the side that was dialled. Raises as `connect` does."""
        machine = SecretStreamMachine.handshaking(
            pattern,
            is_initiator=False,
            key_pair=key_pair,
            random_bytes=random_bytes,
            remote_public_key=remote_public_key,
            now=asyncio.get_running_loop().time(),
            options=options,
        )
        return await cls._open(raw, machine, timeout)

    @classmethod
    def start(
        cls,
        raw: ByteStream,
        keys: SessionKeys,
        random_bytes: Callable[[int], bytes],
        *,
        options: Options | None = None,
    ) -> Self:
        """Begin with the keys of a handshake that was carried elsewhere (hyperdht)."""
        now = asyncio.get_running_loop().time()
        machine = SecretStreamMachine(
            keys=keys, random_bytes=random_bytes, now=now, options=options
        )
        return cls(raw, machine, keys)

    @classmethod
    async def _open(cls, raw: ByteStream, machine: SecretStreamMachine, patience: float) -> Self:
        try:
            async with asyncio.timeout(patience):
                keys = await _shake_hands(raw, machine)
        except TimeoutError as error:
            raw.abort()
            message = f"the handshake took longer than {patience:g} s"
            raise UnavailableError(message, code="ETIMEDOUT") from error
        except BaseException:
            raw.abort()
            raise
        return cls(raw, machine, keys)

    # -- who is there -----------------------------------------------------------------------------

    @property
    def is_initiator(self) -> bool:
        """Whether this side dialled."""
        return self._keys.is_initiator

    @property
    def handshake_hash(self) -> bytes:
        """64 bytes that bind what runs on top to this very connection."""
        return self._keys.handshake_hash

    @property
    def remote_public_key(self) -> PublicKey:
        """Who is at the other end."""
        return self._keys.remote_public_key

    @property
    def remote_address(self) -> tuple[str, int]:
        """Host and port of the other end."""
        return self._raw.remote_address

    # -- messages ---------------------------------------------------------------------------------

    async def receive(self) -> list[memoryview]:
        """Every whole message that has arrived. See MessageStream."""
        machine = self._machine
        machine.listen(self._loop.time())
        self._arm()
        try:
            while True:
                messages = machine.messages()
                if messages:
                    return messages
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return []
                await self._read()
        finally:
            machine.rest()

    async def _read(self) -> None:
        try:
            data = await self._raw.read()
            if len(data):
                self._machine.receive(data, self._loop.time())
            elif self._ended or self._machine.ended_cleanly:
                self._ended = True
            else:
                self._fail(UnavailableError("the connection ended within a message"))
        except (PeerError, UnavailableError) as error:
            self._fail(error)

    def send(self, messages: Iterable[Message]) -> None:
        """Queue messages as one write. See MessageStream."""
        if self._error is None and not self._ended:
            self._machine.send(messages)
            self._transmit()

    async def drain(self) -> None:
        """Wait until little enough is queued that more may be sent. See MessageStream."""
        if self._error is not None:
            raise self._error
        try:
            await self._raw.drain()
        except UnavailableError:
            if self._error is not None:
                raise self._error from None
            raise

    async def close(self) -> None:
        """Send what is queued, then end."""
        self._ended = True
        self._disarm()
        await self._raw.close()

    def abort(self) -> None:
        """Drop the stream now."""
        self._ended = True
        if self._error is None:
            self._error = UnavailableError("the stream was dropped", code="ECONNRESET")
        self._disarm()
        self._raw.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    # -- inside -----------------------------------------------------------------------------------

    def _transmit(self) -> None:
        for data in self._machine.transmit(self._loop.time()):
            self._raw.write(data)

    def _fail(self, error: PeerError | UnavailableError) -> None:
        if self._error is None:
            self._error = error
        self._disarm()
        self._raw.abort()

    def _arm(self) -> None:
        """Wake up at the machine's deadline: one timer, put later only when it goes off."""
        if self._ended or self._error is not None:
            return
        deadline = self._machine.deadline()
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        self._disarm()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self._machine.expire(self._loop.time())
        except UnavailableError as error:
            self._fail(error)
            return
        self._transmit()
        self._arm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _shake_hands(raw: ByteStream, machine: SecretStreamMachine) -> SessionKeys:
    loop = asyncio.get_running_loop()
    while True:
        for data in machine.transmit(loop.time()):
            raw.write(data)
        if machine.keys is not None:
            return machine.keys
        arrived = await raw.read()
        if not len(arrived):
            raise UnavailableError("the other end hung up during the handshake")
        machine.receive(arrived, loop.time())
