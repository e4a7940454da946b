from pearbox_edge.data.replication import capability
from pearbox_edge.ids import CoreKey


def test_the_two_roles_prove_differently() -> None:
    key, name = CoreKey(bytes(32)), bytes(64)
    one = capability(key, name, is_initiator=True)
    assert len(one) == 32
    assert one != capability(key, name, is_initiator=False)


def test_a_proof_is_of_no_use_on_another_stream() -> None:
    key = CoreKey(bytes(32))
    one = capability(key, bytes(64), is_initiator=True)
    assert one != capability(key, b"\1" * 64, is_initiator=True)
