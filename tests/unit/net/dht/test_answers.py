from pearbox_edge.net.dht.answers import BARE, UNKNOWN, Refusal, Value


def test_an_answer_has_a_token_and_closer_nodes_unless_it_is_bare() -> None:
    assert Value(b"x") == Value(b"x", token=True, closer=True)
    assert Value(token=False, closer=False) == BARE


def test_unknown_commands_are_refused_with_the_dhts_own_error() -> None:
    assert Refusal(1) == UNKNOWN
