"""What plugs into a core has defaults that do nothing."""

from pearbox_edge.data.core import Accepted, CoreListener, RefusalReason


class Deaf(CoreListener):
    """Hears nothing."""


def test_a_listener_may_ignore_what_it_likes() -> None:
    deaf = Deaf()
    deaf.on_head()
    deaf.on_blocks(0, 1)
    deaf.on_clear(0, 1)
    deaf.on_truncate(0, 1)
    deaf.on_conflict()


def test_refusals_have_the_numbers_of_the_message() -> None:
    assert (RefusalReason.NOT_AVAILABLE, RefusalReason.INVALID_REQUEST) == (1, 2)


def test_an_empty_proof_brings_nothing() -> None:
    assert Accepted() == (None, False, False, False)
