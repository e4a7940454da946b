"""Tokens: proof that whoever stores something here receives at the address it sends from."""

from collections.abc import Callable

from pearbox_edge.crypto import hash_bytes, keyed_hash

ROTATION = 7.5  # SPEC sheet 04: seconds until the current secret becomes the previous one


class TokenIssuer:
    """Hand out tokens and recognise those handed out 7.5 to 15 s ago at most.

    A token is a keyed hash of the host's text, so nothing has to be kept for any stranger; ports
    are no part of it. Format: npm dht-rpc 6.27.0.
    """

    def __init__(self, now: float, random_bytes: Callable[[int], bytes]) -> None:
        self._previous = random_bytes(32)
        self._current = random_bytes(32)
        self._rotates_at = now + ROTATION

    @classmethod
    def from_secrets(cls, current: bytes, previous: bytes, now: float) -> "TokenIssuer":
        """Go on with known secrets, as if they had just been rotated."""
        secrets = iter((previous, current))
        return cls(now, lambda _size: next(secrets))

    def issue(self, host: str, now: float) -> bytes:
        """A token for the machine at `host`."""
        self._rotate(now)
        return keyed_hash(self._current, host.encode())

    def is_valid(self, token: bytes, host: str, now: float) -> bool:
        """Whether `host` was given this token lately."""
        self._rotate(now)
        data = host.encode()
        return token in (keyed_hash(self._current, data), keyed_hash(self._previous, data))

    def _rotate(self, now: float) -> None:
        for _ in range(2):  # after two, nothing older is left to forget
            if now < self._rotates_at:
                return
            self._previous, self._current = self._current, hash_bytes(self._previous)
            self._rotates_at += ROTATION
        if now >= self._rotates_at:
            self._rotates_at = now + ROTATION
