import random

from pearbox_edge.net.rpc.tokens import ROTATION, TokenIssuer

HOST = "203.0.113.7"


def issuer(now: float = 0.0) -> TokenIssuer:
    return TokenIssuer(now, random.Random(1).randbytes)


def test_a_token_lives_for_one_to_two_rotations() -> None:
    tokens = issuer()
    early = tokens.issue(HOST, 0.0)
    late = tokens.issue(HOST, ROTATION - 0.01)
    assert early == late
    assert tokens.is_valid(early, HOST, 2 * ROTATION - 0.01)
    assert not tokens.is_valid(early, HOST, 2 * ROTATION)


def test_tokens_change_with_every_rotation() -> None:
    tokens = issuer()
    issued = [tokens.issue(HOST, ROTATION * turn) for turn in range(20)]
    assert len(set(issued)) == 20


def test_a_token_is_of_use_to_its_host_alone() -> None:
    tokens = issuer()
    assert not tokens.is_valid(tokens.issue(HOST, 0.0), "203.0.113.8", 0.0)


def test_another_node_does_not_take_it() -> None:
    other = TokenIssuer(0.0, random.Random(2).randbytes)
    assert not other.is_valid(issuer().issue(HOST, 0.0), HOST, 0.0)


def test_nothing_issued_before_a_long_sleep_is_taken_after_it() -> None:
    tokens = issuer()
    old = tokens.issue(HOST, 0.0)
    assert not tokens.is_valid(old, HOST, 100_000.0)
    new = tokens.issue(HOST, 100_000.0)
    assert tokens.is_valid(new, HOST, 100_000.0 + ROTATION)
    assert not tokens.is_valid(new, HOST, 100_000.0 + 2 * ROTATION)


def test_known_secrets_are_gone_on_with() -> None:
    tokens = TokenIssuer.from_secrets(b"c" * 32, b"p" * 32, 0.0)
    older = TokenIssuer.from_secrets(b"p" * 32, b"o" * 32, 0.0)
    assert tokens.is_valid(older.issue(HOST, 0.0), HOST, 0.0)
    assert tokens.issue(HOST, 0.0) != older.issue(HOST, 0.0)
