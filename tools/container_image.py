"""Pack a small root file system out of this machine's own files, for a container image without a registry.

    python tools/container_image.py root.tar && docker import root.tar orchestrate-test

It holds the system's Python with its standard library, a shell, a few programs, and the libraries that these need:
about 60 MB. For tests and for trying things out; not to be handed on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

PYTHONS = ("/usr/bin/python3", sys.executable)
PROGRAMS = ("sh", "bash", "env", "cat", "echo", "head", "ls", "mkdir", "rm", "sleep", "true", "false", "wc")
TIME_ZONES = "/usr/share/zoneinfo/Europe"
LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "ensurepip",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "dist-packages",
    "__pycache__",
}
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}
FOLDERS = ("tmp", "proc", "sys", "dev", "run", "root", "etc")


def main() -> None:
    """Write the archive that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pack(Path(sys.argv[1]))


def pack(target: Path) -> None:
    """Write the archive. Raises OSError and FileNotFoundError where this machine lacks what it takes."""
    python = next(path for path in PYTHONS if Path(path).exists())
    library, found = _python_files(python)
    paths = {found, *(path for name in PROGRAMS if (path := shutil.which(name)) is not None)}
    paths |= {needed for path in (*sorted(paths), *_extensions(library)) for needed in _libraries(path)}
    with tarfile.open(target, "w") as archive:
        for folder in FOLDERS:
            _add_folder(archive, folder)
        for name, text in FILES.items():
            _add_text(archive, name, text)
        for path in sorted(paths):
            _add_file(archive, path)
        archive.add(library, library.strip("/"), filter=_kept)
        if os.path.isdir(TIME_ZONES):
            archive.add(TIME_ZONES, TIME_ZONES.strip("/"), filter=_kept)
        if not any(path.startswith("/bin/") for path in paths):
            _add_link(archive, "bin", "usr/bin")
        if not found.endswith("/bin/python3"):
            _add_link(archive, "usr/local/bin/python3", found)


def _python_files(python: str) -> tuple[str, str]:
    """The standard library of a Python, and its binary."""
    if Path(python).samefile(sys.executable):
        return sysconfig.get_path("stdlib"), os.path.realpath(python)
    ask = "import os, sys, sysconfig; print(sysconfig.get_path('stdlib')); print(os.path.realpath(sys.executable))"
    said = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout
    library, binary = said.split("\n")[:2]
    return library, binary


def _extensions(library: str) -> set[str]:
    return {str(path) for path in (Path(library) / "lib-dynload").glob("*.so")}


def _libraries(program: str) -> set[str]:
    """Libraries that the loader would take for a program, by the names it would open."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"(?:^\s*|=> )(/\S+) \(0x", said, re.MULTILINE))


def _add_file(archive: tarfile.TarFile, path: str) -> None:
    """The file itself, under the name it was found by: links are followed, so that no other file is needed."""
    info = archive.gettarinfo(os.path.realpath(path), path.strip("/"))
    info.type = tarfile.REGTYPE
    info.size = os.path.getsize(path)
    with open(path, "rb") as file:
        archive.addfile(_owned(info), file)


def _add_folder(archive: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    archive.addfile(info)


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    from io import BytesIO

    info = tarfile.TarInfo(name)
    info.size = len(text.encode())
    archive.addfile(info, BytesIO(text.encode()))


def _add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    archive.addfile(info)


def _kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(Path(info.name).parts)
    is_ours = not parts & LEFT_OUT and not (info.issym() and info.linkname.startswith("/"))
    return _owned(info) if is_ours and not info.name.endswith(".a") else None


def _owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


if __name__ == "__main__":
    main()
