"""`drive verify`: everything that is held of a drive, read again and checked."""

import argparse

from pearbox_edge.box.drives import Library
from pearbox_edge.data.core import Finding, Hypercore
from pearbox_edge.errors import UnavailableError

from .output import Output

DAMAGED = 1


async def verify(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Check both cores; exit code 1 if anything was wrong (also if it was repaired)."""
    drive = await library.find(arguments.drive)
    cores = [("entries", drive.core)]
    try:
        cores.append(("content", (await drive.get_blobs()).core))
    except UnavailableError:
        output.say("what holds the content is not known here, so only entries are checked")
    problems = blocks = 0
    for part, core in cores:
        blocks += _held(core)
        async for finding in core.verify(repair=arguments.repair):
            problems += 1
            tell_finding(output, finding, part)
    wrong = "all is well" if not problems else f"{problems} wrong"
    output.event("done", f"{blocks} blocks read: {wrong}", blocks=blocks, problems=problems)
    return DAMAGED if problems else 0


def tell_finding(output: Output, finding: Finding, part: str) -> None:
    """One thing that is wrong, and what to do."""
    output.event(
        "problem",
        f"{part}: {finding}",
        part=part,
        kind=finding.kind.value,
        start=finding.start,
        end=finding.end,
        problem=finding.problem,
        advice=finding.advice,
        repaired=finding.repaired,
        mended=finding.mended,
    )


def _held(core: Hypercore) -> int:
    return sum(end - start for start, end in core.bitfield.runs(0, core.length))
