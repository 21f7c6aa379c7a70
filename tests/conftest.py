"""What holds for all tests."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import environment_services
import pytest
from hypothesis import HealthCheck, settings

from orchestrator.app import environment_factory
from orchestrator.environments.trial import tried

# A loaded machine makes examples slow, not wrong: time is nothing that a property test may fail for.
settings.register_profile("orchestrate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orchestrate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--environments",
        default="",
        help="test all promises in these environments too, which usually see a part: `all`, or names with commas",
    )


@pytest.fixture(autouse=True, scope="session")
def nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept for all workspaces of a user goes into a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


@pytest.fixture(scope="session")
def environments_here() -> Iterator[Callable[[str], dict[str, Any]]]:
    """The settings with which an environment works here, its service started; where it can't, the test is skipped."""
    known: dict[str, dict[str, Any] | str] = {}

    def settings_of(name: str) -> dict[str, Any]:
        kind = name.partition(":")[0]
        if name not in known:
            known[name] = _started(kind, name)
        found = known[name]
        if isinstance(found, str):
            pytest.skip(f"no `{name}` here: {found}")
        return found

    def _started(kind: str, name: str) -> dict[str, Any] | str:
        found = {}
        if kind in environment_services.SERVICES:
            # Not below pytest's own: names of sockets and podman's folders have to be short.
            folder = Path(
                services.enter_context(
                    tempfile.TemporaryDirectory(prefix=f"o-{kind}-", ignore_cleanup_errors=True)
                )
            )
            try:
                service = environment_services.SERVICES[kind](folder)
                found = {kind: services.enter_context(service)}
            except environment_services.Missing as missing:
                return str(missing)
        return tried(environment_factory(name, found)()) or found

    with contextlib.ExitStack() as services:
        yield settings_of
