"""A rig for each environment that works here."""

import pytest
from rig import ENVIRONMENTS, Rig

from orchestrator.environments.confined import probe


@pytest.fixture(scope="session")
def confined_works() -> str:
    return probe().reason


@pytest.fixture(params=ENVIRONMENTS)
def environment(request, confined_works):
    if request.param == "confined" and confined_works:
        pytest.skip(f"no confinement here: {confined_works}")
    return ENVIRONMENTS[request.param]()


@pytest.fixture
def rig(environment, tmp_path) -> Rig:
    return Rig(environment, tmp_path)
