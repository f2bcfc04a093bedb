"""Keeps what is there before the tests out of every collection: they collect garbage after each request."""

import gc

import pytest


@pytest.fixture(scope="package", autouse=True)
def short_collections():
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
