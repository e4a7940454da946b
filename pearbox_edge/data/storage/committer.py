"""Group commit: the one writer that makes queued steps of all cores durable.

    commit() -> queue -> [write and sync each dirty file once] -> [ONE transaction] -> waiters

The two stages overlap: while one group's rows are committed, the next group's bytes are written.
That is safe because bytes past what is committed are named by nobody. Where it does not hold, for
steps that take bytes away or replace them, the overlap stops.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pearbox_edge.errors import PearboxError, StorageError
from pearbox_edge.ids import DiscoveryKey

from .chores import do_chores
from .database import Database
from .failures import again, closed_error
from .files import DataFiles
from .interface import BlockWrite, ByteRange, Changeset
from .rules import block_bytes, is_replacing, is_shrinking

_MAX_QUEUED = 1024  # TUNING: steps waiting; more wait in commit()
_MAX_GROUP_STEPS = 1024  # TUNING: steps in one transaction
_MAX_GROUP_BYTES = 8 << 20  # TUNING: block bytes in one group: enough for one sync to pay

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Step:
    """A changeset on its way, and who waits for it."""

    core: DiscoveryKey
    changeset: Changeset
    era: int
    done: asyncio.Future[None]

    def fail(self, error: PearboxError) -> None:
        if not self.done.done():
            self.done.set_exception(again(error))

    def succeed(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Committer:
    """Works from `run` until `stop`; steps of one core are committed in the order they came in.

    When a step fails, the later steps of its core that were in the queue then fail with it, for
    they were computed on top of it. Steps given after that start anew; other cores go on.
    """

    def __init__(self, database: Database, files: DataFiles, threads: Executor) -> None:
        self._database = database
        self._files = files
        self._threads = threads
        self._entrance = asyncio.Lock()  # keeps the order of those who wait for room
        self._queue: asyncio.Queue[_Step | None] = asyncio.Queue(_MAX_QUEUED)
        self._written: asyncio.Queue[list[_Step]] = asyncio.Queue(1)
        self._held: _Step | None = None  # the first of the next group
        self._waiting: set[_Step] = set()
        self._eras: defaultdict[int, int] = defaultdict(int)
        self._errors: dict[int, PearboxError] = {}
        self._frozen: dict[int, PearboxError] = {}
        self._stopped = False

    async def commit(self, core: DiscoveryKey, changeset: Changeset) -> None:
        """Queue a step and return when it is durable; cancelling the wait does not undo it.

        Raises StorageError when it, or one it was queued behind, failed: then nothing of it counts.
        """
        frozen = self._frozen.get(changeset.core_id)
        if frozen is not None:
            raise again(frozen)
        if self._stopped:
            raise closed_error()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        step = _Step(core, changeset, self._eras[changeset.core_id], done)
        self._waiting.add(step)
        done.add_done_callback(lambda _: self._waiting.discard(step))
        try:
            async with self._entrance:
                await self._queue.put(step)
        except BaseException:
            done.cancel()
            raise
        await done

    async def run(self) -> None:
        """Write and commit until `stop`; whoever still waits afterwards gets an error."""
        try:
            async with asyncio.TaskGroup() as stages:
                committing = stages.create_task(self._commit_groups())
                await self._write_groups()
                await self._written.join()
                committing.cancel()
        finally:
            self._stopped = True
            for step in list(self._waiting):
                step.fail(closed_error())
            while not self._queue.empty():  # lets those in who wait at the entrance
                self._queue.get_nowait()

    async def stop(self) -> None:
        """Let what is queued become durable, then end `run`."""
        async with self._entrance:
            self._stopped = True
            await self._queue.put(None)

    # --- the first stage: bytes ---

    async def _write_groups(self) -> None:
        while True:
            group = await self._next_group()
            if not group:
                return
            steps = self._living(group)
            if steps and is_replacing(steps[0].changeset):
                await self._written.join()
                await self._replace(steps[0])
                continue
            batches: dict[DiscoveryKey, list[BlockWrite]] = {}
            for step in steps:
                if step.changeset.blocks:
                    batches.setdefault(step.core, []).extend(step.changeset.blocks)
            if batches:
                failed = await self._thread(partial(self._files.store, batches))
                for step in steps:
                    if step.core in failed and step.era == self._eras[step.changeset.core_id]:
                        self._fail(step, failed[step.core])
            await self._written.put(steps)
            if any(is_shrinking(step.changeset) for step in steps):
                # The files change once more after the rows: nobody may write to them till then.
                await self._written.join()

    async def _next_group(self) -> list[_Step]:
        """All that is queued and may be committed together; empty at the end."""
        first = self._held if self._held is not None else await self._queue.get()
        self._held = None
        if first is None:
            return []
        group = [first]
        size = block_bytes(first.changeset.blocks)
        shrinking = {first.core: is_shrinking(first.changeset)}
        if is_replacing(first.changeset):
            return group
        while len(group) < _MAX_GROUP_STEPS and size < _MAX_GROUP_BYTES:
            if self._queue.empty():
                break
            step = self._queue.get_nowait()
            if step is None:
                self._queue.put_nowait(None)  # seen again when this group is through
                break
            shrinks = is_shrinking(step.changeset)
            if is_replacing(step.changeset) or (
                step.core in shrinking and (shrinks or shrinking[step.core])
            ):
                self._held = step
                break
            group.append(step)
            size += block_bytes(step.changeset.blocks)
            shrinking[step.core] = shrinks
        return group

    # --- the second stage: rows ---

    async def _commit_groups(self) -> None:
        while True:
            group = await self._written.get()
            steps = self._living(group)
            error = await self._apply(steps) if steps else None
            for step in steps:
                if error is None:
                    step.succeed()
                else:
                    self._fail(step, error)
            self._written.task_done()

    async def _apply(
        self, steps: Sequence[_Step], *, replaced: bool = False
    ) -> PearboxError | None:
        try:
            chores = await self._database.apply(
                [(step.core, step.changeset) for step in steps], replaced=replaced
            )
        except PearboxError as error:
            return error
        if chores:
            await self._thread(partial(do_chores, self._files, chores))
            self._database.strike(chores)
        return None

    # --- a step that writes over bytes which the head before it names ---

    async def _replace(self, step: _Step) -> None:
        """Write the old bytes down first: a crash half-way leaves the old head with its blocks."""
        blocks, core = step.changeset.blocks, step.core
        ranges = [ByteRange(offset, len(data)) for offset, data in blocks]
        try:
            old = await self._thread(partial(self._files.existing, core, ranges))
            if old:
                await self._database.keep_replaced(core, old)
        except StorageError as error:
            self._fail(step, error)
            return
        failure: PearboxError | None = (
            await self._thread(partial(self._files.store, {core: blocks}))
        ).get(core)
        if failure is None:
            failure = await self._apply([step], replaced=bool(old))
        if failure is None:
            step.succeed()
            return
        if old:
            await self._put_back(step, old)
        self._fail(step, failure)

    async def _put_back(self, step: _Step, old: list[BlockWrite]) -> None:
        failed = await self._thread(partial(self._files.store, {step.core: old}))
        error: PearboxError | None = failed.get(step.core)
        if error is None:
            try:
                await self._database.drop_replaced()
            except StorageError as failure:
                error = failure
        if error is not None:
            # The bytes to put back are on disk; opening the directory again does it.
            self._frozen[step.changeset.core_id] = error

    # --- failures ---

    def _fail(self, step: _Step, error: PearboxError) -> None:
        core_id = step.changeset.core_id
        if step.era == self._eras[core_id]:
            self._eras[core_id] += 1
            self._errors[core_id] = error
        step.fail(error)

    def _living(self, steps: Sequence[_Step]) -> list[_Step]:
        """The steps that no failure overtook; the others get that failure."""
        living = []
        for step in steps:
            core_id = step.changeset.core_id
            if step.era == self._eras[core_id]:
                living.append(step)
            else:
                step.fail(self._errors[core_id])
        return living

    async def _thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
