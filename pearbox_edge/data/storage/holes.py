"""Holes in files: how a cleared range gives its disk space back. Python has no call for it."""

import ctypes
from collections.abc import Callable

_KEEP_SIZE = 0x01  # SPEC linux/falloc.h
_PUNCH_HOLE = 0x02  # SPEC linux/falloc.h


def _find() -> Callable[[int, int, int, int], int] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    # On a 32-bit system plain fallocate takes 32-bit offsets; where there is no other (musl),
    # offsets have 64 bits always.
    function = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    function.restype = ctypes.c_int

    def fallocate(descriptor: int, mode: int, offset: int, size: int) -> int:
        return int(function(descriptor, mode, offset, size))

    return fallocate


_fallocate = _find()


def punch_hole(descriptor: int, offset: int, size: int) -> bool:
    """Free the whole filesystem blocks in a range of a file; what is left there reads as zeros.

    False, and nothing changed, where the filesystem cannot: then only room is lost.
    """
    if _fallocate is None or not size:
        return False
    return _fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, offset, size) == 0
