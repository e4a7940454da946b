"""From arguments to an exit code, with every failure as one line."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence

from pearbox_edge import logs
from pearbox_edge.errors import PearboxError

from .arguments import make_parser
from .output import Output, PlainOutput, make_output
from .signals import Interrupted

Run = Callable[[argparse.Namespace, Output], Coroutine[object, object, int]]

Known = PearboxError | OSError

FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "get" and arguments.watch and arguments.at_version:
        parser.error("--watch follows the newest version: leave out --version")
    logs.set_up(debug=arguments.debug)
    run, is_long = _command(arguments.command)
    # What ends at once needs no live line, and not the time to load what draws it.
    output = make_output(as_json=arguments.json) if is_long or arguments.json else PlainOutput()
    try:
        return asyncio.run(run(arguments, output))
    except (KeyboardInterrupt, Interrupted, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our lines has gone; nothing more can be said on that pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (PearboxError, OSError, ExceptionGroup) as error:
        return _fail(error, output, debug=arguments.debug)
    finally:
        output.close()


def _command(name: str) -> tuple[Run, bool]:
    """A command, loaded only when it is asked for, and whether it shows its progress."""
    match name:
        case "share":
            from . import share

            return share.run, True
        case "get":
            from . import get

            return get.run, True
        case _:
            from . import drive

            return drive.run, False


def _fail(error: BaseException, output: Output, *, debug: bool) -> int:
    causes = list(_leaves(error))
    ours = [cause for cause in causes if isinstance(cause, PearboxError)]
    told = next((cause for cause in [*ours, *causes] if isinstance(cause, Known)), None)
    if debug or told is None:
        raise error
    code = told.code if isinstance(told, PearboxError) else "OS_ERROR"
    output.failed(" ".join(str(told).split()), code)
    return FAILED


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
