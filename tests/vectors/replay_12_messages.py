"""Replays the messages of 12-replication.json, both ways."""

import pytest

from pearbox_edge.errors import PeerError
from tests.kit.vectors import Entry, replays
from tests.kit.wire_messages import KINDS, joined


@replays("12-replication", "message")
def message(entry: Entry, file: Entry) -> None:
    kind = KINDS[entry["name"]]
    encoded = bytes.fromhex(entry["encoded"])
    value = kind.from_json(entry["msg"])
    assert kind.decode(encoded) == value
    assert joined(kind.encode(value)) == encoded


@replays("12-replication", "messageReject")
def message_reject(entry: Entry, file: Entry) -> None:
    with pytest.raises(PeerError):
        KINDS[entry["name"]].decode(bytes.fromhex(entry["encoded"]))
