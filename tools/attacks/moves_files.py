"""Moves on files: to read what is not theirs, and to change it."""

from __future__ import annotations

from typing import Any

from attacks.kit import secrets_in


def read_an_ssh_key(it: dict[str, Any]) -> Any:
    with open(it["home"] + "/.ssh/id_ed25519", "rb") as file:
        return secrets_in(file.read())


def list_the_home(it: dict[str, Any]) -> Any:
    import os

    return [it["mark"]] if ".ssh" in os.listdir(it["home"]) else []


def read_shadow(it: dict[str, Any]) -> Any:
    with open("/etc/shadow") as file:
        return [it["mark"]] if "root:" in file.read() else []


def read_another_runs_scratch(it: dict[str, Any]) -> Any:
    with open(it["other"] + "/notes", "rb") as file:
        return secrets_in(file.read())


def read_the_journal_of_runs(it: dict[str, Any]) -> Any:
    with open(it["workspace"] + "/memory/runs/r1/journal.jsonl", "rb") as file:
        return secrets_in(file.read())


def read_by_dots(it: dict[str, Any]) -> Any:
    import os

    up = os.path.relpath(it["file"], it["scratch"])
    with open(it["scratch"] + "/" + up, "rb") as file:
        return secrets_in(file.read())


def read_through_a_link(it: dict[str, Any]) -> Any:
    import os

    os.symlink(it["file"], it["scratch"] + "/link")
    with open(it["scratch"] + "/link", "rb") as file:
        return secrets_in(file.read())


def read_through_a_linked_folder(it: dict[str, Any]) -> Any:
    import os

    os.symlink(it["outside"], it["scratch"] + "/folder")
    with open(it["scratch"] + "/folder/file", "rb") as file:
        return secrets_in(file.read())


def read_through_proc(it: dict[str, Any]) -> Any:
    with open("/proc/self/root" + it["file"], "rb") as file:
        return secrets_in(file.read())


def read_from_within_the_folder(it: dict[str, Any]) -> Any:
    import os

    os.chdir(it["outside"])
    with open("file", "rb") as file:
        return secrets_in(file.read())


def read_through_a_hard_link(it: dict[str, Any]) -> Any:
    import os

    os.link(it["file"], it["scratch"] + "/hard")
    with open(it["scratch"] + "/hard", "rb") as file:
        return secrets_in(file.read())


def read_a_file_moved_here(it: dict[str, Any]) -> Any:
    import os

    os.rename(it["file"], it["scratch"] + "/moved")
    with open(it["scratch"] + "/moved", "rb") as file:
        return secrets_in(file.read())


def map_a_file(it: dict[str, Any]) -> Any:
    import mmap
    import os

    fd = os.open(it["file"], os.O_RDONLY)
    return secrets_in(bytes(mmap.mmap(fd, 0, prot=mmap.PROT_READ)))


def write_a_file(it: dict[str, Any]) -> Any:
    with open(it["file"], "a") as file:
        file.write(it["mark"])


def make_a_file(it: dict[str, Any]) -> Any:
    with open(it["outside"] + "/new", "w") as file:
        file.write(it["mark"])


def make_a_folder(it: dict[str, Any]) -> Any:
    import os

    os.mkdir(it["outside"] + "/new")


def move_a_file_out(it: dict[str, Any]) -> Any:
    import os

    with open(it["scratch"] + "/mine", "w") as file:
        file.write(it["mark"])
    os.rename(it["scratch"] + "/mine", it["outside"] + "/new")


def link_a_file_out(it: dict[str, Any]) -> Any:
    import os

    with open(it["scratch"] + "/mine", "w") as file:
        file.write(it["mark"])
    os.link(it["scratch"] + "/mine", it["outside"] + "/new")


def remove_a_file(it: dict[str, Any]) -> Any:
    import os

    os.unlink(it["file"])


def truncate_a_file(it: dict[str, Any]) -> Any:
    import os

    os.truncate(it["file"], 0)


def change_rights(it: dict[str, Any]) -> Any:
    import os

    os.chmod(it["file"], 0o777)


def change_the_owner(it: dict[str, Any]) -> Any:
    import os

    os.chown(it["file"], 12345, 12345)


def change_times(it: dict[str, Any]) -> Any:
    import os

    os.utime(it["file"], (1, 1))


def set_an_attribute(it: dict[str, Any]) -> Any:
    import os

    os.setxattr(it["file"], "user.attack", b"yes")


def change_the_installed_packages(it: dict[str, Any]) -> Any:
    import sysconfig

    with open(sysconfig.get_paths()["purelib"] + "/" + it["mark"] + ".txt", "w") as file:
        file.write(it["mark"])


def leave_a_module_in_the_home(it: dict[str, Any]) -> Any:
    """Code that a later Python of the user imports by itself."""
    import os
    import sys

    folder = f"{it['home']}/.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    os.makedirs(folder)
    with open(folder + "/usercustomize.py", "w") as file:
        file.write("print('here')\n")


def change_the_skill(it: dict[str, Any]) -> Any:
    with open(it["skill"] + "/SKILL.md", "a") as file:
        file.write(it["mark"])


def change_the_journal_of_runs(it: dict[str, Any]) -> Any:
    with open(it["workspace"] + "/memory/runs/r1/journal.jsonl", "a") as file:
        file.write(it["mark"])


def make_a_way_out(it: dict[str, Any]) -> Any:
    """Another root, whose `..` leads out."""
    import os

    here = os.open("/", os.O_RDONLY)
    os.mkdir(it["scratch"] + "/root")
    os.chroot(it["scratch"] + "/root")
    os.fchdir(here)
    with open("." + it["file"], "rb") as file:
        return secrets_in(file.read())
