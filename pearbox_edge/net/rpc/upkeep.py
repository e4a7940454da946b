"""What a node does by itself: every 5 s it looks after its table, and now and then walks."""

from collections.abc import Callable, Sequence

from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .contacts import OLD_NODE, RECENT_NODE
from .health import Health
from .messages import DOWN_HINT, PING, pack_address
from .options import ConnectivityChanged, WokeUp
from .requests import Failure, Question, Reply
from .routing_table import TableNode
from .state import NodeState

TICK = 5.0  # SPEC seconds
_SLEPT_AFTER = 3 * TICK  # SPEC a longer gap between ticks means that the machine slept
REFRESH_TICKS = 60  # SPEC idle ticks until a walk
_LONELY_EVERY = 64  # SPEC ticks between walks while the table is small
_PING_EVERY = 8  # SPEC ticks
_MAX_REPINGS = 3  # SPEC pings at once to make room in full rows
_MAX_CHECKS = 10  # SPEC pings at once because of down hints


class Upkeep:
    """Ping the old, drop the dead, make room for the new, refresh, notice sleep.

    Format: npm dht-rpc 6.27.0.
    """

    def __init__(
        self, state: NodeState, refresh: Callable[[], None], on_wake_up: Callable[[], None]
    ) -> None:
        self.health = Health()
        self.refresh_ticks = state.random_offset(REFRESH_TICKS)
        self.next_tick = state.now + TICK
        self._state = state
        self._refresh = refresh
        self._on_wake_up = on_wake_up
        self._last_tick = state.now
        self._repings = 0
        self._checks = 0
        self._hints = 0
        state.on_full_row = self.make_room

    def restart(self) -> None:
        """Ticks begin (again) now."""
        now = self._state.now
        self._last_tick, self.next_tick = now, now + TICK

    def expire(self) -> bool:
        """Do what is due; True if a tick has passed."""
        state = self._state
        if state.now < self.next_tick:
            return False
        slept = state.now - self._last_tick > _SLEPT_AFTER
        self._last_tick, self.next_tick = state.now, state.now + TICK
        if slept:
            self.wake_up()
        else:
            state.contacts.tick += 1
        if not state.bootstrapped:
            return True
        contacts = state.contacts
        if contacts.tick % _PING_EVERY == 0:
            self._ping_some()
        self.refresh_ticks -= 1
        is_lonely = contacts.tick % _LONELY_EVERY == 0 and len(contacts) < contacts.table.k
        if is_lonely or self.refresh_ticks <= 0:
            self._refresh()
        self._hints = 0
        before = self.health.state
        self.health.update(state.requests.responses, state.requests.timeouts)
        if self.health.state is not before:
            state.events.append(ConnectivityChanged(self.health.state))
        return True

    def wake_up(self) -> None:
        """The machine slept or moved: everything known is old; ask again soon."""
        contacts = self._state.contacts
        contacts.tick += 2 * OLD_NODE
        contacts.tick += _PING_EVERY - contacts.tick % _PING_EVERY - 2  # pings in two ticks
        self.refresh_ticks = 1  # the network may need a moment to wake up too
        before = self.health.state
        self.health.reset()
        if before is not self.health.state:
            self._state.events.append(ConnectivityChanged(self.health.state))
        self._on_wake_up()
        self._state.events.append(WokeUp())

    # -- the table --------------------------------------------------------------------------------

    def make_room(self, newcomer: TableNode) -> None:
        """A row is full: see if its node longest not heard of is still there."""
        state = self._state
        if not state.bootstrapped or self._repings >= _MAX_REPINGS:
            return
        old = state.contacts.replaceable(newcomer)
        if old is None:
            return
        last_seen = old.seen

        def swap() -> None:
            state.contacts.remove(old)
            state.contacts.add(newcomer)

        def pong(_reply: Reply) -> None:
            self._repings -= 1
            if old.seen <= last_seen:
                swap()

        def silence(failure: Failure) -> None:
            self._repings -= 1
            if failure is Failure.TIMED_OUT:
                swap()

        old.pinged = state.contacts.tick
        if self._ping(old, pong, silence):
            self._repings += 1

    def hint_down(self, id_: NodeId) -> None:
        """Somebody says that this node does not answer."""
        node = self._state.contacts.get(id_)
        if node is None or self._checks >= _MAX_CHECKS:
            return
        if node.pinged < self._state.contacts.tick or not node.down_hints:
            node.down_hints += 1
            self.check(node)

    def check(self, node: TableNode) -> None:
        """Ping a node; without an answer it is forgotten."""
        contacts = self._state.contacts
        node.pinged = contacts.tick
        last_seen = node.seen

        def pong(_reply: Reply) -> None:
            self._checks -= 1
            if node.seen <= last_seen < contacts.tick:
                contacts.remove(node)

        def silence(failure: Failure) -> None:
            self._checks -= 1
            if failure is Failure.TIMED_OUT:
                contacts.remove(node)

        if self._ping(node, pong, silence):
            self._checks += 1

    def report_down(self, down: Address, namers: Sequence[Address]) -> None:
        """Tell nodes that one they named does not answer; only so many in a tick."""
        state = self._state
        for namer in namers:
            if self._hints >= state.options.down_hints_per_tick:
                return
            self._hints += 1
            question = Question(namer, DOWN_HINT, internal=True, value=pack_address(down))
            state.ask(question)

    def _ping_some(self) -> None:
        contacts = self._state.contacts
        count = 3 if len(self._state.requests) > 2 else 5
        oldest = contacts.oldest(count)
        if not oldest:
            self._refresh()
            return
        if contacts.tick - oldest[0].pinged < RECENT_NODE:
            del oldest[2:]
        for node in oldest:
            if node.pinged == contacts.tick:
                break
            self.check(node)

    def _ping(
        self,
        node: TableNode,
        on_reply: Callable[[Reply], None],
        on_failure: Callable[[Failure], None],
    ) -> bool:
        question = Question(node.address, PING, internal=True)
        return self._state.ask(question, on_reply, on_failure) is not None
