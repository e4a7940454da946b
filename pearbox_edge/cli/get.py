"""`pearbox-edge get`: find who has a drive, fetch it, write it, and follow it if asked."""

import argparse
import asyncio

from pearbox_edge.app import open_node
from pearbox_edge.box.fetching import DriveFetch, Fetched, FetchProgress
from pearbox_edge.wire import encode_key, parse_link

from .arguments import data_directory
from .events import in_units, tell_peer, tell_skipped
from .output import Field, Output
from .signals import stop_event, unless_stopped


async def run(arguments: argparse.Namespace, output: Output) -> int:
    """Fetch; exit code 0 when every byte is there (with --watch: when stopped after that)."""
    link = parse_link(arguments.link)
    destination = arguments.destination or encode_key(link.key)
    with stop_event() as stop:
        async with open_node(
            data_directory(arguments.data),
            lambda event: tell_peer(output, event),
            lan=arguments.lan,
        ) as node:
            drive = await node.remote_drive(link.key)

            def on_progress(now: FetchProgress) -> None:
                done = (
                    now.done
                    if now.total is None
                    else min(now.total, max(now.done, now.fetched_bytes))
                )
                output.progress(
                    done,
                    now.total,
                    node.hub.peers,
                    files=now.files,
                    fetched_bytes=now.fetched_bytes,
                )

            fetch = DriveFetch(
                drive,
                node.store,
                destination,
                path=link.path,
                patience=arguments.timeout,
                on_progress=on_progress,
                on_skip=lambda skipped: tell_skipped(output, skipped),
            )
            node.find(drive.discovery_key, arguments.peers)
            fetched = await unless_stopped(stop, fetch.run(arguments.at_version))
            if arguments.watch:
                _tell_done(output, fetched, destination)
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(_watch(fetch, output))
                    await stop.wait()
                    watching.cancel()
                output.event("closed", "stopped")
    if not arguments.watch:
        _tell_done(output, fetched, destination)  # the last line, after all peers are gone
    return 0


async def _watch(fetch: DriveFetch, output: Output) -> None:
    async for fetched in fetch.follow():
        output.event("version", f"version {fetched.version} is here", **_fields(fetched))


def _tell_done(output: Output, fetched: Fetched, destination: str) -> None:
    files = "1 file" if fetched.files == 1 else f"{fetched.files} files"
    text = (
        f"{files}, {in_units(fetched.bytes)}, version {fetched.version}, in {destination} "
        f"({in_units(fetched.fetched_bytes)} fetched in {fetched.seconds:.1f} s)"
    )
    output.event("done", text, **_fields(fetched))


def _fields(fetched: Fetched) -> dict[str, Field]:
    return {
        "files": fetched.files,
        "bytes": fetched.bytes,
        "fetched_bytes": fetched.fetched_bytes,
        "seconds": round(fetched.seconds, 3),
        "version": fetched.version,
        "skipped": fetched.skipped,
    }
