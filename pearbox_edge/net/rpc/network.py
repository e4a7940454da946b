"""Joining: the first walk, whether strangers reach us, and when we become a lasting member."""

from collections.abc import Callable
from typing import Protocol

from pearbox_edge.wire import Address

from .messages import PING_NAT, node_id
from .nat import NatSampler
from .options import SERVER, Bootstrapped
from .requests import Failure, Question, Reply
from .state import NodeState

STABLE_TICKS = 240  # SPEC 20 minutes until the first try to become a lasting member
MORE_STABLE_TICKS = 3 * STABLE_TICKS  # SPEC until the next ones
_EAGER_TICKS = 12  # TUNING between tries of a node that is to be a lasting member
_PROBED = 5  # SPEC nodes asked whether they reach us
_ENOUGH = 3  # SPEC of these must, if there were so many


class Walk(Protocol):
    """Walk towards our own id; `on_reply` is told of each answer."""

    def __call__(self, on_end: Callable[[], None], on_reply: Callable[[Reply], None]) -> None:
        """Begin the walk."""
        ...


class Network:
    """Our standing in the DHT.

        EPHEMERAL --stable 20 min (at once if told so), one address, reachable--> PERSISTENT
            ^------------------------ slept, moved, address changed ------------------/

    Format: npm dht-rpc 6.27.0.
    """

    def __init__(self, state: NodeState, walk: Walk, refresh: Callable[[], None]) -> None:
        self.stable_ticks = _EAGER_TICKS if state.options.wants_persistent else STABLE_TICKS
        self._state = state
        self._walk = walk
        self._refresh = refresh
        self._last_host: str | None = None
        self._is_checking = False
        self._answers_reach_us = False
        self._first_answer = False
        state.on_address = self._address_changed

    # -- the first walk ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Meet the DHT."""
        options = self._state.options
        self._first_answer = (
            self._state.firewalled and options.quick_firewall and not options.wants_persistent
        )
        self._answers_reach_us = False
        if options.public_address is not None:
            self._state.sample(options.public_address)
        self._round(0)

    def _round(self, number: int) -> None:
        self._walk(lambda: self._round_over(number), self._try_first_answer)

    def _round_over(self, number: int) -> None:
        state = self._state
        if state.suspended:
            return
        wants = state.options.wants_persistent
        if number or state.bootstrapped or not (self._answers_reach_us or wants):
            self._finish()
            return

        def updated(open_: bool) -> None:
            if open_:
                self._round(1)
            else:
                self._finish()

        self.update(updated, only_firewall=not wants)

    def _finish(self) -> None:
        if not self._state.bootstrapped and not self._state.suspended:
            self._state.bootstrapped = True
            self._state.events.append(Bootstrapped())

    def _try_first_answer(self, reply: Reply) -> None:
        """See whether the first node that answers reaches our other socket."""
        if not self._first_answer:
            return
        self._first_answer = False

        def reached(_reply: Reply) -> None:
            self._answers_reach_us = True
            if self._state.bootstrapped:  # the walk was over before: a race in small networks
                self.update(opened, only_firewall=True)

        def opened(changed: bool) -> None:
            if changed:
                self._refresh()

        self._state.ask(self._probe(reply.sender), reached)

    # -- becoming a lasting member ----------------------------------------------------------------

    def tick(self) -> None:
        """Five seconds have passed."""
        state = self._state
        options = state.options
        if not state.bootstrapped or not state.ephemeral or options.ephemeral is True:
            return
        self.stable_ticks -= 1
        if self.stable_ticks > 0 and not (options.wants_persistent and not state.firewalled):
            return
        if options.is_adaptive and self._last_host == state.nat.host:
            self.stable_ticks = MORE_STABLE_TICKS  # the same network: nothing new
        else:
            self.update(lambda _changed: None)

    def wake_up(self) -> None:
        """The machine slept: wait and see before others count on us again."""
        self._last_host = None
        if self._state.options.wants_persistent:
            self.stable_ticks = _EAGER_TICKS
        else:
            self.stable_ticks = MORE_STABLE_TICKS
            self._state.set_ephemeral(True)

    def moved(self) -> None:
        """We are on another network: all that was known of our address is void."""
        if self._state.options.public_address is not None:
            return
        self._state.set_ephemeral(True)
        self._state.set_firewalled(self._state.options.firewalled)
        self._state.use_sampler(NatSampler())
        self._last_host = None
        self.stable_ticks = _EAGER_TICKS if self._state.options.wants_persistent else STABLE_TICKS

    def update(self, done: Callable[[bool], None], *, only_firewall: bool = False) -> None:
        """See if we can be reached, and (unless `only_firewall`) become a lasting member then.

        `done` is told whether anything changed.
        """
        state = self._state
        if not state.ephemeral or self._is_checking or (only_firewall and not state.firewalled):
            done(False)
            return
        seen = state.nat.address
        if not only_firewall:
            eager = state.options.wants_persistent
            self.stable_ticks = _EAGER_TICKS if eager else MORE_STABLE_TICKS
            self._last_host = state.nat.host
        if seen is None:
            done(False)
            return
        if not state.firewalled:
            done(self._promote(seen, state.nat, only_firewall=only_firewall))
            return
        self._is_checking = True

        def checked(sampler: NatSampler | None) -> None:
            self._is_checking = False
            if sampler is None or state.suspended:
                done(False)
                return
            state.set_firewalled(False)
            done(self._promote(seen, sampler, only_firewall=only_firewall))

        self._check_firewall(checked)

    def _promote(self, seen: Address, sampler: NatSampler, *, only_firewall: bool) -> bool:
        state = self._state
        now_seen = state.nat.address
        address = sampler.address
        if not state.ephemeral or seen != now_seen:
            return False
        if address is None or address.host != seen.host:
            return False
        new_id = node_id(address)
        if sampler is not state.nat:
            state.use_sampler(sampler)
        if new_id != state.contacts.table.id:
            state.contacts.move_to(new_id)
            if state.bootstrapped:
                self._refresh()
        if not only_firewall:
            state.set_ephemeral(False)
        return True

    def _check_firewall(self, done: Callable[[NatSampler | None], None]) -> None:
        """Have up to five nodes answer to our server's port; None: strangers do not reach it."""
        state = self._state
        probed = [(node.address, True) for node in state.contacts.latest(_PROBED)]
        if len(probed) < _PROBED:
            probed += [(address, False) for address in state.bootstrap.addresses()]
        sampler = NatSampler()
        arrived = 0
        missing = len(probed)

        def settled() -> None:
            nonlocal missing
            missing -= 1
            if missing > 0:
                return
            enough = _ENOUGH if len(probed) >= _PROBED else 1
            is_open = (
                arrived >= enough
                and sampler.host is not None
                and sampler.host == state.nat.host
                and sampler.port == state.server_port
            )
            done(sampler if is_open else None)

        def on_reply(reply: Reply) -> None:
            nonlocal arrived
            if reply.socket == SERVER:
                arrived += 1
                sampler.add(reply.to)
            settled()

        def on_failure(_failure: Failure) -> None:
            settled()

        if not probed:
            done(None)
            return
        for address, is_known in probed:
            question = self._probe(address)
            if is_known:
                question = question._replace(id=node_id(address))
            if state.ask(question, on_reply, on_failure) is None:
                settled()

    def _probe(self, address: Address) -> Question:
        value = self._state.server_port.to_bytes(2, "little")
        return Question(address, PING_NAT, internal=True, value=value)

    def _address_changed(self) -> None:
        """Others agree on another address than the one that our id is made of."""
        state = self._state
        address = state.nat.address
        if state.ephemeral or address is None or state.options.public_address is not None:
            return
        if node_id(address) != state.contacts.table.id:
            state.set_ephemeral(True)
            wants = state.options.wants_persistent
            self.stable_ticks = 1 if wants else STABLE_TICKS
            self._last_host = None
