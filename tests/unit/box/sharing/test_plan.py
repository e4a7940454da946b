from pearbox_edge.box.files import Found, FoundFile, FoundLink, Skipped, Stamp
from pearbox_edge.box.sharing.plan import Known, make_plan
from pearbox_edge.box.sharing.stamps import encode_stamp, is_known, is_settled

STAMP = Stamp(size=5, mtime_ns=1_000, ctime_ns=2_000, inode=7, executable=False)


def found(path: str, stamp: Stamp = STAMP) -> FoundFile:
    return FoundFile(path, "/disk" + path, stamp)


def test_a_new_file_is_put_and_a_missing_one_is_gone() -> None:
    plan = make_plan([found("/new")], {"/old": Known(1, False, None)}, {})
    assert [item.drive_path for item in plan.put] == ["/new"]
    assert plan.gone == ["/old"]


def test_a_file_with_its_old_stamp_is_not_even_read() -> None:
    known = {"/a": Known(5, False, None)}
    assert make_plan([found("/a")], known, {"/a": encode_stamp(STAMP)}).is_empty


def test_a_file_of_equal_size_without_a_stamp_is_read_and_compared() -> None:
    plan = make_plan([found("/a")], {"/a": Known(5, False, None)}, {})
    assert [item.drive_path for item in plan.check] == ["/a"]
    assert not plan.put


def test_another_size_or_mode_is_put_without_reading_twice() -> None:
    known = {"/a": Known(6, False, None), "/b": Known(5, True, None)}
    plan = make_plan([found("/a"), found("/b")], known, {})
    assert [item.drive_path for item in plan.put] == ["/a", "/b"]


def test_a_link_is_written_only_if_its_target_changed() -> None:
    known = {"/same": Known(None, False, "x"), "/other": Known(None, False, "x")}
    items: list[Found] = [FoundLink("/same", "", "x"), FoundLink("/other", "", "y")]
    plan = make_plan(items, known, {})
    assert [item.drive_path for item in plan.links] == ["/other"]


def test_a_file_that_replaces_a_link_is_put() -> None:
    plan = make_plan([found("/a")], {"/a": Known(None, False, "x")}, {"/a": encode_stamp(STAMP)})
    assert [item.drive_path for item in plan.put] == ["/a"]


def test_nothing_that_could_not_be_read_is_taken_out() -> None:
    known = {path: Known(1, False, None) for path in ("/dir/a", "/dir/b/c", "/file", "/gone")}
    items: list[Found] = [Skipped("/dir", "/disk/dir", "why"), Skipped("/file", "", "why")]
    assert make_plan(items, known, {}).gone == ["/gone"]


def test_an_unplugged_root_empties_nothing() -> None:
    plan = make_plan([Skipped("", "/disk", "gone")], {"/a": Known(1, False, None)}, {})
    assert plan.is_empty


def test_a_stamp_is_known_only_if_all_of_it_is_equal() -> None:
    stored = encode_stamp(STAMP)
    assert is_known(STAMP, stored)
    assert not is_known(STAMP, None)
    for other in (
        STAMP._replace(size=6),
        STAMP._replace(mtime_ns=1),
        STAMP._replace(ctime_ns=1),
        STAMP._replace(inode=8),
        STAMP._replace(executable=True),
    ):
        assert not is_known(other, stored)


def test_a_file_changed_just_now_may_change_again_unseen() -> None:
    assert not is_settled(STAMP, 2_000 + 10_000_000)
    assert is_settled(STAMP, 2_000 + 60_000_000)
