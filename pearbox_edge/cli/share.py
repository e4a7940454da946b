"""`pearbox-edge share`: import, announce, print the link, serve until stopped."""

import argparse
import asyncio

from pearbox_edge.app import Node, open_node
from pearbox_edge.box.files import Skipped, plan_sources, real_path
from pearbox_edge.box.sharing import FolderShare, Imported
from pearbox_edge.wire import format_link

from .arguments import data_directory
from .events import in_units, tell_peer, tell_skipped
from .output import Output
from .signals import stop_event, unless_stopped

REPORT_SECONDS = 0.5  # TUNING: often enough to look alive, seldom enough for a log


async def run(arguments: argparse.Namespace, output: Output) -> int:
    """Share until SIGINT or SIGTERM; exit code 0 once it was ready."""
    sources = plan_sources(arguments.paths)
    data = data_directory(arguments.data)
    kept: list[Skipped] = []
    is_ready = False

    def tell_or_keep(skipped: Skipped) -> None:
        if is_ready:
            tell_skipped(output, skipped)
        else:
            kept.append(skipped)  # programs are promised that `ready` comes first

    with stop_event() as stop:
        async with open_node(
            data, lambda event: tell_peer(output, event), lan=arguments.lan
        ) as node:
            drive = await node.shared_drive(arguments.paths, arguments.name)
            share = FolderShare(
                drive,
                node.storage,
                sources,
                excluded=[real_path(str(data))],
                on_skip=tell_or_keep,
                on_progress=output.preparing,
            )
            imported = await unless_stopped(stop, share.import_all())
            host, port = await node.hub.listen(*arguments.listen)
            await node.announce(drive.discovery_key, port)
            _tell_ready(output, share, imported, f"[{host}]" if ":" in host else host, port)
            is_ready = True
            for skipped in kept:
                tell_skipped(output, skipped)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_follow(share, output)),
                    group.create_task(_report(node, output)),
                ]
                await stop.wait()
                for task in tasks:
                    task.cancel()
    output.event("closed", "stopped")
    return 0


def _tell_ready(
    output: Output, share: FolderShare, imported: Imported, host: str, port: int
) -> None:
    link = format_link(share.drive.key)
    files = "1 file" if imported.files == 1 else f"{imported.files} files"
    output.event(
        "ready",
        f"sharing {files}, {in_units(imported.bytes)}, version {imported.version}\n\n  {link}\n",
        link=link,
        key=share.drive.key.hex(),
        discovery_key=share.drive.discovery_key.hex(),
        version=imported.version,
        files=imported.files,
        bytes=imported.bytes,
        tcp=f"{host}:{port}",
    )
    output.picture(link)
    output.say(f"fetch it with: pearbox-edge get {link}\nCtrl-C stops sharing")


async def _follow(share: FolderShare, output: Output) -> None:
    async for imported in share.follow():
        output.event(
            "version",
            f"version {imported.version}: {imported.changed} new or changed, "
            f"{imported.removed} removed",
            version=imported.version,
            files=imported.files,
            bytes=imported.bytes,
            changed=imported.changed,
            removed=imported.removed,
        )


async def _report(node: Node, output: Output) -> None:
    """Tell how much has been sent, whenever that changed."""
    told = (-1, -1)
    while True:
        traffic = node.store.traffic
        now = (traffic.bytes_sent, node.hub.peers)
        if now != told:
            told = now
            output.progress(traffic.bytes_sent, None, node.hub.peers, state="serve")
        await asyncio.sleep(REPORT_SECONDS)
