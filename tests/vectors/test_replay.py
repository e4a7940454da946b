"""Every entry of every vector file is replayed by the function that knows its kind."""

import importlib
from pathlib import Path

import pytest

from tests.kit.vectors import NOT_BUILT_YET, REPLAYS, Entry, entries, later, vectors_folder

for module in sorted(Path(__file__).parent.glob("replay_*.py")):
    importlib.import_module(f"tests.vectors.{module.stem}")

FILES = sorted(vectors_folder().glob("*.json"))
CASES = [
    pytest.param(path.stem, kind, entry, file, id=name)
    for path in FILES
    for kind, name, entry, file in entries(path)
    if later(path.stem, kind) is None
]


def test_there_are_vectors() -> None:
    assert FILES, f"no vector files in {vectors_folder()}"


@pytest.mark.parametrize(("layer", "kind", "entry", "file"), CASES)
def test_vector_is_replayed(layer: str, kind: str, entry: Entry, file: Entry) -> None:
    replay = REPLAYS.get((layer, kind))
    assert replay is not None, f"nothing replays {layer}/{kind}"
    replay(entry, file)


def test_nothing_is_both_built_and_put_off() -> None:
    built = {f"{layer}/{kind}" for layer, kind in REPLAYS} | {layer for layer, _ in REPLAYS}
    assert not built & set(NOT_BUILT_YET)
