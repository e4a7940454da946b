"""What may not be read stays out of a share, is named, and stops nothing else."""

from pathlib import Path

import pytest

from tests.kit.copying import write
from tests.kit.peers import OurPeer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

NO_OVERRIDE = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)
"""Root without the right to pass over file modes."""


async def test_unreadable_files_and_folders_are_named_and_the_rest_is_followed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in"
    write(folder / "good.txt", "good")
    write(folder / "secret.txt", "secret")
    write(folder / "closed" / "inside.txt", "inside")
    (folder / "secret.txt").chmod(0)
    (folder / "closed").chmod(0)
    where = ("--data", tmp_path / "data", "--no-lan", "--listen", "127.0.0.1:0", "--json")
    async with OurPeer("share", folder, *where, prefix=NO_OVERRIDE) as sharer:
        ready = await sharer.wait("ready")
        assert ready["files"] == 1
        named = {(await sharer.wait("skipped"))["path"] for _ in range(2)}
        assert named == {str(folder / "secret.txt"), str(folder / "closed")}
        write(folder / "later.txt", "later")
        assert (await sharer.wait("version"))["files"] == 2
        assert await sharer.stop() == 0
        assert sharer.stderr == ""
