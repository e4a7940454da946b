"""What a peer asked of us and we have not answered yet."""

from pearbox_edge.errors import PeerError

from .messages import Request, Want

MAX_QUEUED = 2048
"""TUNING: requests waiting for us; four times what any peer keeps open at once. More drops it."""
MAX_INVALID = 64  # SPEC sheet 12: invalid requests of a peer before its stream is destroyed
_DELAYS = ((1, 0.2), (4, 0.5), (39, 1.0), (MAX_INVALID, 5.0))
"""SPEC sheet 12: seconds that a refusal waits as invalid requests grow in number."""


class Inbox:
    """The requests of one peer in order, and the wants; a cancel takes its request out."""

    def __init__(self) -> None:
        self._urgent: dict[int, Request] = {}
        self._requests: dict[int, Request] = {}
        self._wants: list[Want] = []
        self._invalid = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._requests) + len(self._wants)

    def add(self, request: Request) -> None:
        """A request arrived; one with the same number that still waits is dropped."""
        self.cancel(request.id)
        (self._urgent if request.priority else self._requests)[request.id] = request
        self._check()

    def add_want(self, want: Want) -> None:
        """A want arrived."""
        self._wants.append(want)
        self._check()

    def _check(self) -> None:
        if len(self) > MAX_QUEUED:
            raise PeerError(f"more than {MAX_QUEUED} requests at once", code="TOO_MANY_REQUESTS")

    def cancel(self, request_id: int) -> None:
        """A request no longer matters: it gets no answer."""
        if self._requests.pop(request_id, None) is None:
            self._urgent.pop(request_id, None)

    def take(self, most: int) -> list[Request]:
        """Up to `most` requests to answer next: those that somebody waits for go first."""
        taken: list[Request] = []
        for waiting in (self._urgent, self._requests):
            if len(waiting) + len(taken) <= most:
                taken += waiting.values()
                waiting.clear()
                continue
            ids = list(waiting)[: most - len(taken)]
            taken += [waiting.pop(request_id) for request_id in ids]
        return taken

    def take_want(self) -> Want | None:
        """The next want to answer."""
        return self._wants.pop(0) if self._wants else None

    def refuse(self) -> float:
        """An invalid request was met: seconds to wait before refusing it. PeerError at the 64th."""
        self._invalid += 1
        if self._invalid >= MAX_INVALID:
            raise PeerError(f"{MAX_INVALID} invalid requests", code="INVALID_REQUEST")
        return next(delay for most, delay in _DELAYS if self._invalid <= most)

    def clear(self) -> None:
        """The peer is gone."""
        self._urgent.clear()
        self._requests.clear()
        self._wants.clear()
