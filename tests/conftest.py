"""What holds for all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine makes examples slow, not wrong: time is nothing that a property test may fail for.
settings.register_profile("orchestrate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orchestrate")


@pytest.fixture(autouse=True, scope="session")
def nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept for all workspaces of a user goes into a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield
