"""A simulated DHT in virtual time: hundreds of nodes, lossy lines, firewalls; seeded."""

import random
from collections.abc import Callable
from heapq import heappop, heappush

from pearbox_edge.net.rpc import (
    CLIENT,
    SERVER,
    Datagram,
    Event,
    NameWanted,
    Query,
    QueryEnded,
    QueryOptions,
    RequestArrived,
    RpcNodeMachine,
    RpcOptions,
    node_id,
)
from pearbox_edge.wire import Address

SERVER_PORT = 49737
CLIENT_PORT = 50000


class SimNode:
    """One machine in the simulation, with its server and its client socket."""

    def __init__(self, net: "SimNet", host: str, options: RpcOptions, *, firewall: bool) -> None:
        self.net = net
        self.host = host
        self.firewall = firewall
        """Whether what comes in unasked is dropped."""
        self.machine = RpcNodeMachine(options, net.now, net.random.randbytes)
        self.alive = True
        self.events: list[Event] = []
        """What it reported and nobody took."""
        self.asked: set[tuple[int, Address]] = set()
        self.handler: Callable[[SimNode, RequestArrived], None] | None = None
        self.wakes_at: float | None = None

    @property
    def address(self) -> Address:
        """Its server socket, as everybody sees it."""
        return Address(self.host, SERVER_PORT)

    def pump(self) -> None:
        """Let it say what it has to say, and wake it in time."""
        net = self.net
        while events := self.machine.events():
            for event in events:
                match event:
                    case RequestArrived() if self.handler is not None:
                        self.handler(self, event)
                    case RequestArrived(request):
                        self.machine.unhandled(request, net.now)
                    case NameWanted(name):
                        self.machine.resolved(name, net.names.get(name), net.now)
                    case _:
                        self.events.append(event)
        for socket, data, address, _ttl in self.machine.transmit(net.now):
            self.asked.add((socket, address))
            net.carry(self, socket, data, address)
        deadline = self.machine.deadline()
        if deadline is not None and deadline != self.wakes_at:
            self.wakes_at = deadline
            net.at(deadline, self.wake)

    def wake(self) -> None:
        if self.alive and self.wakes_at is not None and self.wakes_at <= self.net.now:
            self.wakes_at = None
            self.machine.expire(self.net.now)
            self.pump()

    def take(self, socket: int, data: bytes, sender: Address) -> None:
        if self.alive and not (self.firewall and (socket, sender) not in self.asked):
            self.machine.receive([Datagram(data, sender)], self.net.now, socket)
            self.pump()

    def start(self) -> "SimNode":
        self.machine.start(SERVER_PORT, self.net.now)
        self.pump()
        return self

    def kill(self) -> None:
        """It vanishes without a word."""
        self.alive = False

    def revive(self) -> None:
        """It is back under its address, with nothing in memory."""
        self.machine = RpcNodeMachine(self.machine.options, self.net.now, self.net.random.randbytes)
        self.alive, self.wakes_at = True, None
        self.start()

    def find(self, target: bytes, options: QueryOptions | None = None) -> Query:
        """Walk to a target and wait for the end."""
        return self.net.finish(self, self.machine.find_node(target, self.net.now, options))


class SimNet:
    """Lines between simulated nodes, and the clock that all share."""

    def __init__(self, seed: int, *, delay: float = 0.02, loss: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.delay = delay
        self.loss = loss
        self.nodes: dict[str, SimNode] = {}
        self.names: dict[str, str] = {}
        self.datagrams = 0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def add(
        self, options: RpcOptions | None = None, *, firewall: bool = False, host: str | None = None
    ) -> SimNode:
        """One more node; not started yet."""
        if host is None:
            number = len(self.nodes)
            host = f"{11 + number % 100}.{number // 100 % 250}.{number % 250}.7"
        node = SimNode(self, host, options or RpcOptions(), firewall=firewall)
        self.nodes[host] = node
        return node

    def grow(self, count: int, *, pause: float = 0.05) -> list[SimNode]:
        """A DHT of lasting members, one after the other; the first is the bootstrap node."""
        first = self.add(RpcOptions.bootstrapper("11.0.0.7", SERVER_PORT), host="11.0.0.7").start()
        self.run(1)
        grown = [first]
        for _ in range(count - 1):
            options = RpcOptions(
                bootstrap=(f"{first.host}:{SERVER_PORT}",), ephemeral=False, firewalled=False
            )
            grown.append(self.add(options).start())
            self.run(pause)
        self.run(10)
        return grown

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._agenda, (max(when, self.now), self._count, action))

    def carry(self, sender: SimNode, socket: int, data: bytes, to: Address) -> None:
        self.datagrams += 1
        target = self.nodes.get(to.host)
        if target is None or self.random.random() < self.loss:
            return
        if to.port not in (SERVER_PORT, CLIENT_PORT):
            return
        into = SERVER if to.port == SERVER_PORT else CLIENT
        source = Address(sender.host, SERVER_PORT if socket == SERVER else CLIENT_PORT)
        delay = self.delay * (0.5 + self.random.random())
        self.at(self.now + delay, lambda: target.take(into, data, source))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until something is so; False if it is not within `seconds`."""
        end = self.now + seconds
        while not is_done():
            if not self._agenda or self._agenda[0][0] > end:
                self.now = end
                return is_done()
            self.now, _, action = heappop(self._agenda)
            action()
        return True

    def finish(self, node: SimNode, query: Query) -> Query:
        """Wait for the end of a query that one of the nodes has begun."""
        node.pump()
        assert self.run_until(lambda: query.done, 120), "the walk goes on for ever"
        node.pump()
        node.events = [e for e in node.events if not isinstance(e, QueryEnded)]
        return query


def nearest(nodes: list[SimNode], target: bytes, count: int) -> list[Address]:
    """The addresses of the nodes that really are nearest."""
    goal = int.from_bytes(target, "big")
    addresses = [node.address for node in nodes if node.alive]
    addresses.sort(key=lambda address: goal ^ int.from_bytes(node_id(address), "big"))
    return addresses[:count]
