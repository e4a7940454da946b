"""The `pearbox-edge` command."""

import sys

from pearbox_edge.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
