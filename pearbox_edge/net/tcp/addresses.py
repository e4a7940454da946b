"""Hosts and ports as people write them, and what went wrong at one of them."""

import errno

from pearbox_edge.errors import UnavailableError

MAX_PORT = 0xFFFF  # SPEC


def address_of(name: tuple[str, int] | tuple[str, int, int, int]) -> tuple[str, int]:
    """Host and port of a socket's name (IPv6 ones say more)."""
    return (name[0], name[1])


def written(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_port(where: str, port: int) -> None:
    """Raise UnavailableError for no port at all: the C library would take it modulo 65536."""
    if not 0 <= port <= MAX_PORT:
        raise UnavailableError(f"{where}: a port is a number from 0 to {MAX_PORT}", code="ERANGE")


def unavailable(what: str, error: Exception | None) -> UnavailableError:
    """Say what failed and why in one line; the code is the system's name for it."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    number = getattr(error, "errno", None)
    code = errno.errorcode.get(number) if isinstance(number, int) else None
    return UnavailableError(f"{what}: {reason}", code=code)
