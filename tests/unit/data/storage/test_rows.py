"""Which rows a group of changesets writes."""

from pearbox_edge.data.storage import ByteRange, Changeset, Head, TreeNode
from pearbox_edge.data.storage.chores import Chore, ChoreKind
from pearbox_edge.data.storage.rows import Rows, is_core, is_node
from pearbox_edge.ids import DiscoveryKey

CORE = DiscoveryKey(bytes(32))


def rows_of(*changesets: Changeset) -> Rows:
    rows = Rows()
    for changeset in changesets:
        rows.add(CORE, changeset)
    return rows


def tables(rows: Rows) -> dict[str, list[tuple[int | bytes | None, ...]]]:
    """Values by the first words of their statement."""
    return {" ".join(sql.split()[:5]): values for sql, values in rows.statements()}


def test_an_empty_step_writes_nothing() -> None:
    assert tables(rows_of(Changeset(1))) == {}


def test_the_later_head_of_a_core_counts() -> None:
    found = tables(rows_of(Changeset(1, head=Head(1)), Changeset(1, head=Head(2))))
    assert found == {"UPDATE cores SET length =": [(2, 0, 0, b"", b"", None, None, 1)]}


def test_what_steps_say_of_one_core_becomes_one_row() -> None:
    found = tables(
        rows_of(
            Changeset(1, contiguous_length=3, manifest=b"m"),
            Changeset(1, head=Head(4, 5, 6, b"t", b"s")),
        )
    )
    assert found == {"UPDATE cores SET length =": [(4, 5, 6, b"t", b"s", 3, b"m", 1)]}


def test_a_page_is_kept_without_its_trailing_zeros() -> None:
    found = tables(rows_of(Changeset(1, pages={3: b"\1\0\2".ljust(4096, b"\0"), 4: bytes(4096)})))
    assert found == {
        "INSERT OR REPLACE INTO pages": [(1, 3, b"\1\0\2")],
        "DELETE FROM pages WHERE core_id": [(1, 4)],
    }


def test_steps_of_many_cores_share_a_statement() -> None:
    node = TreeNode(0, 1, bytes(32))
    found = tables(rows_of(Changeset(1, nodes=[node]), Changeset(2, nodes=[node])))
    assert found == {"INSERT OR REPLACE INTO nodes": [(1, *node), (2, *node)]}


def test_what_shrinks_leaves_chores() -> None:
    rows = rows_of(
        Changeset(1, cleared=[ByteRange(5, 6)]),
        Changeset(2, truncate_to=3, head=Head(3, 70)),
    )
    assert rows.truncated == [(2, 3)]
    assert rows.chores == [Chore(ChoreKind.PUNCH, CORE, 5, 6), Chore(ChoreKind.CUT, CORE, 70, 0)]


def test_rows_of_other_types_are_told_from_ours() -> None:
    assert is_node((0, 1, bytes(32)))
    for row in ((0, 1, b"short"), (0, 1, None), (0, b"1", bytes(32)), (0, -1, bytes(32))):
        assert not is_node(row)
    core = (1, bytes(32), None, 0, 0, 0, b"", b"", 0)
    assert is_core(core)
    for place, value in ((1, b"short"), (3, -1), (3, b"5"), (6, None), (2, 7)):
        assert not is_core((*core[:place], value, *core[place + 1 :]))
