"""Events that more than one command tells, in the words of both readers."""

from pearbox_edge.box.files import Skipped
from pearbox_edge.box.peers import PeerEvent, PeerOpened

from .output import Output


def tell_peer(output: Output, event: PeerEvent) -> None:
    """A machine came or went."""
    host, port = event.address
    opened = isinstance(event, PeerOpened)
    reason = "" if isinstance(event, PeerOpened) else event.reason
    text = f"connected to {host}" if opened else f"{host} has left"
    output.event(
        "peer",
        f"{text} ({reason})" if reason else text,
        state="open" if opened else "closed",
        public_key=event.public_key.hex(),
        address=f"{host}:{port}",
        peers=event.peers,
        reason=reason,
    )


def tell_skipped(output: Output, skipped: Skipped) -> None:
    """Something stays out, and why."""
    text = f"skipped {skipped.path}: {skipped.reason}"
    output.event("skipped", text, path=skipped.path, reason=skipped.reason)


def readable(text: str) -> str:
    """A name from anywhere as one line that no terminal obeys."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def in_units(size: float) -> str:
    """A size as a person reads it: 12 B, 3.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
