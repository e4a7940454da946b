"""`drive rebuild`: a new database out of a damaged one."""

import argparse

from pearbox_edge.app import rebuild_data

from .arguments import data_directory
from .drive_verify import DAMAGED, tell_finding
from .output import Output


async def rebuild(arguments: argparse.Namespace, output: Output) -> int:
    """Save what can be read; exit code 1 if that is not all."""
    rebuilt, findings = await rebuild_data(data_directory(arguments.data))
    for what in rebuilt.lost:
        output.event("lost", f"lost: {what}", what=what)
    for finding in findings:
        tell_finding(output, finding, "rebuilt")
    lost = len(rebuilt.lost) + sum(not finding.mended for finding in findings)
    kept = str(rebuilt.kept_in)
    text = f"{rebuilt.cores} cores saved; the database as it was is kept in {kept}"
    output.event("done", text, cores=rebuilt.cores, rows=rebuilt.rows, lost=lost, kept_in=kept)
    return DAMAGED if lost else 0
