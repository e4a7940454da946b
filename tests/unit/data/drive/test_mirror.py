"""Plans against dicts: carried out, they make one tree equal the other."""

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.drive.mirror import (
    MirrorCount,
    MirrorFile,
    MirrorRecord,
    MirrorStep,
    plan_mirror,
)

contents = st.none() | st.binary(max_size=2)
trees = st.dictionaries(
    st.sampled_from(["/a", "/a/b", "/a-", "/ä", "/z", "/a0"]), st.tuples(contents, st.booleans())
)
Tree = dict[str, tuple[bytes | None, bool]]


class Side:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    async def files(self) -> AsyncIterator[MirrorFile]:
        for path in sorted(self.tree, key=str.encode):
            content, executable = self.tree[path]
            yield MirrorFile(path, None if content is None else len(content), executable)


async def plan(source: Tree, target: Tree, count: MirrorCount, prune: bool) -> list[MirrorRecord]:
    async def same(left: MirrorFile, right: MirrorFile) -> bool:
        return source[left.path][0] == target[right.path][0]

    steps = plan_mirror(
        Side(source), Side(target), same, prune=prune, include_equal=True, count=count
    )
    return [step async for step in steps]


@given(trees, trees, st.booleans())
async def test_a_plan_carried_out_makes_both_sides_equal(
    source: Tree, target: Tree, prune: bool
) -> None:
    count = MirrorCount()
    records = await plan(source, target, count, prune)
    result = dict(target)
    for record in records:
        match record.step:
            case MirrorStep.REMOVE:
                del result[record.path]
            case MirrorStep.EQUAL:
                assert result[record.path] == source[record.path]
            case _:
                content, executable = source[record.path]
                if record.metadata_only:
                    content = result[record.path][0]
                result[record.path] = (content, executable)
    extra = {} if prune else {path: f for path, f in target.items() if path not in source}
    assert result == source | extra
    assert count.files == len(source)
    steps = [record.step for record in records]
    for step, number in (("add", count.add), ("change", count.change), ("remove", count.remove)):
        assert steps.count(MirrorStep(step)) == number


async def files(*given: MirrorFile) -> list[MirrorStep]:
    left, right = given

    class One:
        def __init__(self, file: MirrorFile) -> None:
            self.file = file

        async def files(self) -> AsyncIterator[MirrorFile]:
            yield self.file

    async def same(left: MirrorFile, right: MirrorFile) -> bool:
        return True

    steps = plan_mirror(One(left), One(right), same, include_equal=True)
    return [step.step async for step in steps]


async def test_links_are_compared_by_target() -> None:
    link = MirrorFile("/l", linkname="/a")
    assert await files(link, link) == [MirrorStep.EQUAL]
    assert await files(link, link._replace(linkname="/b")) == [MirrorStep.CHANGE]
    assert await files(link, MirrorFile("/l", 3)) == [MirrorStep.CHANGE]


async def test_sizes_of_mapped_files_say_nothing() -> None:
    mapped = MirrorFile("/f", 3, mapped=True)
    assert await files(mapped, MirrorFile("/f", 9)) == [MirrorStep.EQUAL]
    assert await files(MirrorFile("/f", 3), MirrorFile("/f", 9)) == [MirrorStep.CHANGE]


async def test_other_metadata_is_a_change() -> None:
    file = MirrorFile("/f", 3, metadata={"a": 1})
    assert await files(file, MirrorFile("/f", 3)) == [MirrorStep.CHANGE]
    assert await files(file._replace(metadata={}), MirrorFile("/f", 3)) == [MirrorStep.EQUAL]
