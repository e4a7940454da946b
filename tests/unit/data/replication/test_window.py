from pearbox_edge.data.replication.window import LARGEST, SMALLEST, TARGET_BYTES, Window


def test_the_first_guess_is_for_blobs() -> None:
    assert Window().size == TARGET_BYTES >> 16


def test_the_average_of_the_core_is_used_when_known() -> None:
    assert Window(40_960 * 10, 10).size == TARGET_BYTES // 40_960


def test_tiny_blocks_get_the_largest_window() -> None:
    assert Window(1000, 10).size == LARGEST


def test_large_blocks_keep_a_few_under_way() -> None:
    assert Window(10 * 700_000, 10).size == SMALLEST
    assert Window(10 * (15 << 20), 10).size < SMALLEST


def test_it_follows_what_arrives() -> None:
    window = Window(1000, 10)
    for _ in range(50):
        window.observe(64 << 16, 64)
    assert window.size == TARGET_BYTES >> 16


def test_nothing_arriving_changes_nothing() -> None:
    window = Window(1000, 10)
    window.observe(0, 0)
    assert window.average == 100
