"""A rig for each environment that works here."""

import cloud_stand_ins
import pytest
from rig import Rig

from orchestrator.app import CLOUDS


@pytest.fixture
def rig(request, environments_here, tmp_path, monkeypatch) -> Rig:
    name = request.param
    if name in CLOUDS:
        return Rig(name, cloud_stand_ins.install(monkeypatch, name, tmp_path), tmp_path)
    return Rig(name, environments_here(name), tmp_path)


def pytest_generate_tests(metafunc):
    if "rig" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--environments")
        everywhere = metafunc.definition.get_closest_marker("everywhere") is not None
        metafunc.parametrize("rig", list(chosen(wanted, everywhere)), indirect=True)


def chosen(wanted, everywhere):
    """Environments to try a promise in: those that start in a moment, and others for the most telling promises."""
    for name in ("process", "confined"):
        yield name
    for name in ("bubblewrap", "docker", "podman", "ssh:127.0.0.1", *CLOUDS):
        if everywhere or wanted == "all" or name in wanted.split(","):
            yield pytest.param(name, marks=pytest.mark.xdist_group(name))
