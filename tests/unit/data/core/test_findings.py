"""What a finding says."""

import pytest

from pearbox_edge.data.core import Finding, FindingKind
from pearbox_edge.ids import CoreKey

KEY = CoreKey(bytes(range(32)))


def test_a_finding_names_the_core_the_blocks_and_what_to_do() -> None:
    text = str(Finding(KEY, FindingKind.BLOCK, 3, 9, "the bytes are wrong"))
    assert text.startswith("core ")
    assert "blocks 3 to 8: the bytes are wrong; " in text
    assert "fetch it again" in text


def test_one_block_is_named_alone_and_no_block_not_at_all() -> None:
    assert ", block 3: " in str(Finding(KEY, FindingKind.BLOCK, 3, 4, "x"))
    assert "block" not in str(Finding(None, FindingKind.TABLES, 0, 0, "x"))


@pytest.mark.parametrize("kind", FindingKind)
def test_advice_tells_what_was_done_from_what_is_to_do(kind: FindingKind) -> None:
    advice = {
        Finding(KEY, kind, 0, 1, "x").advice,
        Finding(KEY, kind, 0, 1, "x", repaired=True).advice,
        Finding(KEY, kind, 0, 1, "x", repaired=True, mended=True).advice,
    }
    assert len(advice) == 3
