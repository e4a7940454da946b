"""What several fault tests need once."""

from pathlib import Path

import pytest

from tests.kit.shim import compile_shim


@pytest.fixture(scope="session")
def shim_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim, compiled."""
    return compile_shim(tmp_path_factory.mktemp("shim"))
