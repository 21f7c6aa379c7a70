"""The committed lock names every package that set-up installs, exactly, and nothing of the machine it was made on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from orchestrator.app import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, tuple[Version, int]]:
    """Name to version and number of hashes, as the lock has them."""
    entries = re.split(r"^(?=\S)", LOCK.replace("\\\n", " "), flags=re.MULTILINE)
    found = {}
    for entry in entries:
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", entry):
            found[canonicalize_name(match[1])] = (Version(match[2]), entry.count("--hash=sha256:"))
    return found


def runtime_requirements(without: Collection[str] = ()) -> list[str]:
    """What the package declares, with what its extras add, but for some of these."""
    extras = PROJECT["project"]["optional-dependencies"]
    added = [text for name, extra in extras.items() if name not in without for text in extra]
    return [*PROJECT["project"]["dependencies"], *added]


def direct_requirements() -> list[Requirement]:
    # Set-up installs no client of a cloud or a cluster: they are large, and two of them can't be installed side by side.
    texts = [*runtime_requirements(without=[*CLOUDS, "ray"]), *PROJECT["build-system"]["requires"]]
    groups = PROJECT["dependency-groups"]
    for included in groups["dev"]:  # what set-up installs; `fuzz` is installed by who wants it
        texts += groups[included["include-group"]]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("requirement", direct_requirements(), ids=str)
def test_lock_meets_every_declared_requirement(requirement: Requirement) -> None:
    version, n_hashes = locked()[canonicalize_name(requirement.name)]
    assert version in requirement.specifier
    assert n_hashes > 0


def test_every_locked_package_has_a_hash() -> None:
    assert [name for name, (_, n_hashes) in locked().items() if n_hashes == 0] == []


def test_lock_names_no_index_and_no_local_path() -> None:
    assert [line for line in LOCK.splitlines() if re.search(r"://|^-|file:|/opt|/home|/root", line)] == []


def test_every_runtime_dependency_is_a_range_below_the_next_major_version() -> None:
    for text in runtime_requirements():
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators - {"!="} == {">=", "<"}, text
