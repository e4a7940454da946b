"""The command line: words in, lines out, exit codes.

Upstream: none; `product.md`'s table is the contract, JSON lines are for programs.
Door: `main(argv)` -> exit code: 0 done, 1 failed (one-line reason), 2 usage, 130 interrupted.
Must not know: protocols or storage; it asks `app` and prints what comes back.
No traceback reaches a person unless they ask with `--debug`.
"""

from .main import main

__all__ = ["main"]
