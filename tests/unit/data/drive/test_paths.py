"""Names of files: from people, in links, and onto disks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.drive.paths import (
    MAX_PATH_SIZE,
    normalise,
    normalise_folder,
    resolve_link,
)
from pearbox_edge.errors import InputError

texts = st.text(st.sampled_from("ab./\\:ä\0"), max_size=12) | st.text(max_size=12)


@given(texts)
def test_any_text_becomes_a_plain_path_or_is_refused(text: str) -> None:
    try:
        path = normalise(text)
    except InputError:
        return
    assert path.startswith("/")
    assert not {"", ".", ".."} & set(path[1:].split("/"))
    assert normalise(path) == path
    assert normalise_folder(text) == path


@pytest.mark.parametrize("text", ["", "/", ".", "a/.."])
def test_the_root_is_a_folder_and_no_file(text: str) -> None:
    assert normalise_folder(text) == ""
    with pytest.raises(InputError):
        normalise(text)


@pytest.mark.parametrize("text", ["..", "/../a", "a/../../b", "\ud800", "x" * MAX_PATH_SIZE])
def test_what_cannot_be_a_name_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        normalise(text)


@pytest.mark.parametrize(
    ("link", "target", "result"),
    [
        ("/x/l", "/docs/a", "/docs/a"),
        ("/x/l", "b", "/x/l/b"),
        ("/x/l", "../b", "/x/b"),
        ("/x/l", "./../../b", "/b"),
    ],
)
def test_a_relative_link_counts_from_its_own_path(link: str, target: str, result: str) -> None:
    assert resolve_link(link, target) == result


@pytest.mark.parametrize("target", ["../../..", "/", ".."])
def test_a_link_out_of_the_drive_is_refused(target: str) -> None:
    with pytest.raises(InputError):
        resolve_link("/l", target)
