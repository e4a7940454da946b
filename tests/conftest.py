"""What every test gets: the amount of chance hypothesis draws, and the reference peers."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.kit.peers import install_js_peers

settings.register_profile(
    "desk",
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "ci",
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture(scope="session")
def js_peers() -> None:
    """The Node peers' packages are installed; without them the test fails, it is not skipped."""
    install_js_peers()
