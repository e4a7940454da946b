"""A wrong wall clock for one Python process: put this folder in PYTHONPATH.

$WRONG_CLOCK_SECONDS is added to what `time.time` says, as on a board without a battery that woke
up in 1970 or in the far future. Time namespaces move only the monotonic clock.
"""

import os
import time
from collections.abc import Callable

_SHIFT = float(os.environ.get("WRONG_CLOCK_SECONDS", "0"))


def _shifted(clock: Callable[[], float]) -> Callable[[], float]:
    return lambda: clock() + _SHIFT


def _shifted_ns(clock: Callable[[], int]) -> Callable[[], int]:
    return lambda: clock() + int(_SHIFT * 1e9)


time.time = _shifted(time.time)
time.time_ns = _shifted_ns(time.time_ns)
