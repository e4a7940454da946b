"""A program that announces, browses, or both, on the LAN of its host; the lab runs it.

`mdns_peer LABEL announce|browse|both [WRONG_TIME]`. Says what happens in JSON lines, `at`
in seconds on the monotonic clock. Connects to each peer found and reads its greeting. A line on
standard input is a command, `withdraw` or `announce LABEL`; its end is the end.
"""

import asyncio
import json
import os
import socket
import sys
import time
import warnings

from pearbox_edge.lan import LanDiscovery, LanOptions, LanPeer

GREETING = b"here\n"


def say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, "at": time.monotonic(), **fields}) + "\n")
    sys.stdout.flush()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GREETING)
    writer.close()
    await writer.wait_closed()


async def dial(peer: LanPeer) -> None:
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(peer.host, peer.port)
            ok = await reader.readline() == GREETING
            writer.close()
            await writer.wait_closed()
    except OSError:
        ok = False
    say("dialled", host=peer.host, ok=ok)


async def commands(lan: LanDiscovery, port: int) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := (await reader.readline()).decode().split():
        match line:
            case ["withdraw", label]:
                await lan.withdraw(label)
            case ["announce", label]:
                await lan.announce(label, port)
        say("did", command=line[0])


async def main(label: str, mode: str) -> None:
    sock = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    port = sock.getsockname()[1]
    server = await asyncio.start_server(greet, sock=sock)
    async with server, asyncio.TaskGroup() as tasks:

        def found(peer: LanPeer) -> None:
            say("found", host=peer.host, port=peer.port, instance=peer.instance)
            tasks.create_task(dial(peer))

        def lost(peer: LanPeer) -> None:
            say("lost", host=peer.host, instance=peer.instance)

        async with LanDiscovery(LanOptions(), os.urandom) as lan:
            if mode in ("announce", "both"):
                await lan.announce(label, port)
            if mode in ("browse", "both"):
                lan.browse(label, found, lost)
            say("ready", port=port)
            await commands(lan, port)
    say("left", tasks=len(asyncio.all_tasks()))


if __name__ == "__main__":
    warnings.simplefilter("error")
    if len(sys.argv) > 3:
        wrong = float(sys.argv[3])
        time.time = lambda: wrong
    asyncio.run(main(sys.argv[1], sys.argv[2]))
