"""The reference peers themselves run: Node to Node over TCP."""

from pathlib import Path

import pytest

from tests.kit.peers import JsPeer, OurPeer, PeerFailed

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("js_peers")]


async def test_node_peers_copy_a_folder_over_tcp(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("hello")
    store, out = tmp_path / "store", tmp_path / "out"
    async with JsPeer(
        "share.mjs", "--storage", store, "--path", tmp_path / "in", "--tcp", "127.0.0.1:0"
    ) as share:
        ready = await share.wait("ready")
        async with JsPeer(
            "fetch.mjs", "--key", ready["key"], "--tcp", ready["tcp"], "--out", out
        ) as fetch:
            done = await fetch.wait_exit()
        reply = await share.ask(cmd="stats")
        assert await share.stop() == 0
    assert done["event"] == "done"
    assert reply["version"] == ready["version"]
    assert (out / "a.txt").read_text() == "hello"


async def test_a_program_that_ends_too_early_fails_the_wait(tmp_path: Path) -> None:
    async with JsPeer("share.mjs") as share:
        with pytest.raises(PeerFailed, match="--storage is required"):
            await share.wait("ready")


async def test_our_command_line_refuses_an_unknown_command() -> None:
    async with OurPeer("no-such-command") as ours:
        await ours.wait_exit(status=2)
