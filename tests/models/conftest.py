"""Fixtures for model files."""

import pytest

from llamafarm.models import ModelStore, Patience
from tests.models.file_server import FileServer

FAST = Patience(connect=2.0, stall=0.5, tries=3, pause=0.01, longest_pause=0.02)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path):
    """No index, hub, proxy or home of the person who runs the tests."""
    for name in ("HF_ENDPOINT", "HF_TOKEN", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS",
                 "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE", "PIP_CONFIG_FILE",
                 "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NETRC"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path / "home"))


@pytest.fixture
async def server():
    running = await FileServer().start()
    yield running
    await running.stop()


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "home", patience=FAST)
