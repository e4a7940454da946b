"""How a lab starts its own helper programs: modules of this package, run as processes."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
TMP_PREFIX = "netlab-"
"""How the folder of a lab begins."""


def child(module: str, *args: str) -> list[str]:
    """The command that runs `module` of this package; its working folder must be REPOSITORY."""
    return [sys.executable, "-E", "-s", "-B", "-m", f"{__package__}.{module}", *args]
