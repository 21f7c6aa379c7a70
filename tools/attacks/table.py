"""The attacks: moves with what they need, in groups."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attacks import kit, moves_bounds, moves_files, moves_network, moves_processes, moves_protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    Move = Callable[[dict[str, Any]], Any]

ROLES = ("cell", "skill", "skill that starts programs")
"""Where a move is made from. The last has `processes` among its grants, as a skill that requires programs has."""

LOOP_S = 0.5
BEYOND_S = 4.0
"""A deadline, and how long those go on that ignore it: longer than the deadline and the time in which one is killed."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `look` is made by another worker afterwards, and finds what the move has left."""

    name: str
    group: str
    move: Move
    look: Move | None = None
    network: bool = False  # whether the network is granted
    deadline_s: float = 20.0
    goes_on: bool = False  # whether its harm comes when the worker was closed

    @property
    def source(self) -> str:
        """The text of the move, as function `attack(it)`; of `look`, as `look(it)`."""
        text = _TEXT + inspect.getsource(self.move) + f"\n\nattack = {self.move.__name__}\n"
        if self.look is not None:
            text += f"\n\n{inspect.getsource(self.look)}\n\nlook = {self.look.__name__}\n"
        return text


_TEXT = inspect.getsource(kit) + "\n\n"

LOOKS: dict[Move, Move] = {
    moves_protocol.poison_what_is_built_in: moves_protocol.look_for_poison,
}
WITH_NETWORK: tuple[Move, ...] = (
    moves_network.connect_to_a_socket_file,
    moves_network.send_to_a_socket_file,
    moves_network.send_to_a_socket_file_from_a_pair,
    moves_network.send_to_a_socket_file_from_a_raw_pair,
    moves_network.connect_to_an_abstract_socket,
    moves_network.send_to_an_abstract_socket_from_a_pair,
    moves_network.listen_from_a_pair,
    moves_network.look_at_the_network,
    moves_network.send_raw_packets,
)
"""What stays closed also where the network is granted."""

LATE: tuple[Move, ...] = (
    moves_bounds.loop_on,
    moves_bounds.compute_on_in_c,
    moves_bounds.wait_for_itself,
    moves_bounds.block_the_deadline,
)


def _attacks() -> Iterator[Attack]:
    groups = (
        ("files", moves_files),
        ("other processes", moves_processes),
        ("network", moves_network),
        ("protocol", moves_protocol),
        ("bounds", moves_bounds),
    )
    for group, module in groups:
        for move in _moves(module):
            if move not in LOOKS.values():
                yield _attack(group, move)
    for move in WITH_NETWORK:
        yield Attack(f"{_title(move)}, network granted", "network", move, network=True)


def _attack(group: str, move: Move) -> Attack:
    goes_on = move.__name__.startswith("go_on")
    deadline_s = LOOP_S if move in LATE else 20.0
    return Attack(_title(move), group, move, LOOKS.get(move), deadline_s=deadline_s, goes_on=goes_on)


def _title(move: Move) -> str:
    return move.__name__.replace("_", " ")


def _moves(module: ModuleType) -> Iterator[Move]:
    for _, move in inspect.getmembers(module, inspect.isfunction):
        if move.__module__ == module.__name__:
            yield move


ATTACKS = {attack.name: attack for attack in _attacks()}
