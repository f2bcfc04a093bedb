import pytest

from tests.egress.network import two_machines, why_not


@pytest.fixture(scope="session")
def namespaces():
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def network(namespaces, tmp_path_factory):
    with two_machines(tmp_path_factory.mktemp("machine")) as network:
        yield network
