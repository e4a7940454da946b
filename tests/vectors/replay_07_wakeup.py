"""Sheet 07: the messages of the wakeup protocol, both ways."""

from pearbox_edge.data.replication import wakeup as w
from pearbox_edge.ids import CoreKey
from tests.kit.vectors import Entry, replays


@replays("07-protomux", "wakeupMessages")
def wakeup_message(entry: Entry, file: Entry) -> None:
    data, value = bytes.fromhex(entry["hex"]), entry["value"]
    match entry["message"]:
        case "handshake":
            capability = bytes.fromhex(value["capability"])
            opening = w.Opening(capability, value["active"], value["version"])
            assert w.decode_opening(data) == opening
            assert w.encode_opening(opening) == data
        case "lookup":
            found = bytes.fromhex(value["hash"]) if value["hash"] else None
            assert w.decode_lookup(data) == found
            assert w.encode_lookup(found) == data
        case "announce":
            news = [w.News(CoreKey(bytes.fromhex(one["key"])), one["length"]) for one in value]
            assert w.decode_announce(data) == news
            assert w.encode_announce(news) == data
        case _:
            assert w.decode_info(data) is value["active"]
            assert w.encode_info(active=value["active"]) == data
