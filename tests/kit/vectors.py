"""Replaying the vectors that the real npm packages wrote: one function per kind of entry.

A vector file is JSON. Files of the upper layers hold `cases`, each with its `kind`; in the files of
the lower layers each list at the top is a kind of its own. `replays` ties a function to one kind;
an entry whose kind nobody replays is a failure, unless its layer is named in NOT_BUILT_YET.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Entry = dict[str, Any]
Replay = Callable[[Entry, Entry], None]
F = TypeVar("F", bound=Replay)

REPLAYS: dict[tuple[str, str], Replay] = {}

NOT_BUILT_YET = {
    "06-hyperswarm": "the swarm",
    "07b-blind-pairing": "the panel",
    "17-seeding": "always on",
}
"""Layers (or one kind of a layer) that a later issue builds, and which."""


def vectors_folder() -> Path:
    """$PEARBOX_VECTORS, else the vectors kept beside the tests."""
    given = os.environ.get("PEARBOX_VECTORS")
    return Path(given) if given else Path(__file__).parents[1] / "vectors"


def replays(layer: str, kind: str) -> Callable[[F], F]:
    """Say that the decorated function replays entries of one kind: `function(entry, file)`."""

    def register(function: F) -> F:
        assert (layer, kind) not in REPLAYS, f"{layer}/{kind} is replayed twice"
        REPLAYS[layer, kind] = function
        return function

    return register


def entries(path: Path) -> Iterator[tuple[str, str, Entry, Entry]]:
    """(kind, name, entry, whole file) for every entry of one file."""
    file: Entry = json.loads(path.read_text())
    for section, items in file.items():
        if not isinstance(items, list):
            continue
        for number, item in enumerate(items):
            kind = item["kind"] if section == "cases" and "kind" in item else section
            name = item.get("id") or item.get("name") or item.get("what") or number
            yield kind, f"{path.stem}/{kind}/{number}-{name}", item, file


def later(layer: str, kind: str) -> str | None:
    """The issue that builds this kind, or None if it must be replayed now."""
    return NOT_BUILT_YET.get(layer) or NOT_BUILT_YET.get(f"{layer}/{kind}")
