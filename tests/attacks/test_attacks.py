"""Every attack works where nothing is in its way, and under an environment only where that is known to let it pass."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from attacks.holes import HOLES
from attacks.play import ENVIRONMENTS, NOTHING, play
from attacks.table import ATTACKS, ROLES

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the attacks are on Linux"),
    pytest.mark.timeout(300),  # many attacks each, and some go on until they are killed
]

SLOW = ("docker", "podman")
GROUPS = sorted({attack.group for attack in ATTACKS.values()})
AS_ROOT = {
    "read shadow", "make a way out", "change the owner", "send raw packets", "send raw packets, network granted",
}  # fmt: skip
"""What takes root where nothing else is in its way."""


def of_group(group):
    return [attack for attack in ATTACKS.values() if attack.group == group]


def is_possible(name):
    """Whether this machine and user let it pass at all."""
    if (
        name == "type for the user"
    ):  # only root types for a terminal that is not its own; newer kernels let nobody
        setting = Path("/proc/sys/dev/tty/legacy_tiocsti")
        return os.geteuid() == 0 and (not setting.exists() or setting.read_text().strip() == "1")
    if name == "connect by ipv6" or name == "listen for datagrams":
        return Path("/proc/net/if_inet6").exists()
    return os.geteuid() == 0 or name not in AS_ROOT


@pytest.mark.parametrize("group", GROUPS)
def test_attacks_work_where_nothing_is_in_their_way(group):
    attacks = [attack for attack in of_group(group) if is_possible(attack.name)]
    stopped = {out.attack: out.why for out in play(NOTHING, "cell", attacks) if not out.harm}
    assert stopped == {}


@pytest.mark.parametrize("group", GROUPS)
def test_environment_lets_nothing_pass_but_what_is_known(environment, role, group, environments_here):
    known = HOLES.get(environment, frozenset())
    outcomes = list(play(environment, role, of_group(group), environments_here(environment)))
    if outcomes[0].unavailable:
        pytest.skip(outcomes[0].unavailable)
    assert {out.attack: out.harm for out in outcomes if out.harm and out.attack not in known} == {}
    assert len(outcomes) == len(of_group(group))


def pytest_generate_tests(metafunc):
    """All roles of the default environment, cells of others that start in a moment; all of those that are asked for."""
    if "environment" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--environments")
        asked = set(ENVIRONMENTS) if wanted == "all" else set(wanted.split(","))
        pairs = [
            pytest.param(name, role, marks=pytest.mark.xdist_group(name)) if name in SLOW else (name, role)
            for name in ENVIRONMENTS
            for role in ROLES
            if name in asked or name == "confined" or (name not in SLOW and role == "cell")
        ]
        metafunc.parametrize(("environment", "role"), pairs)


def test_what_is_known_to_escape_is_named_as_it_is():
    assert {name for names in HOLES.values() for name in names} <= set(ATTACKS)
    assert HOLES.get("confined", frozenset()) == frozenset()
