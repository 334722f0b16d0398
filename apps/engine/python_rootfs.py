"""Pack this machine's own Python into the smallest file system that it runs in."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from apps.engine.deadline import Deadline
from apps.engine.errors import HostProblem

_HOME = Path("usr/local")
_PROBE = """
import html, http.server, json, os, socket, ssl, sys, sysconfig, threading
print(json.dumps({
    "version": sys.version_info[:2], "program": os.path.realpath(sys.executable),
    "prefix": os.path.realpath(sys.base_prefix), "stdlib": sysconfig.get_path("stdlib"),
    "modules": sysconfig.get_config_var("DESTSHARED"), "tag": sys.implementation.cache_tag,
}))
"""
_LEFT_OUT = frozenset(
    {"test", "tests", "idlelib", "turtledemo", "tkinter", "lib2to3", "ensurepip", "site-packages"}
    | {"dist-packages", "pydoc_data", "distutils", "__pycache__"}
)
_LIBRARY = re.compile(r"(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_FOLDERS = {"tmp": 0o1777, "root": 0o700, "app": 0o755}


@dataclass(frozen=True)
class HostPython:
    """An interpreter of this machine and where its parts lie."""

    version: tuple[int, int]
    program: Path
    prefix: Path
    stdlib: Path
    modules: Path
    """Folder of its extension modules."""
    tag: str

    @property
    def name(self) -> str:
        return f"Python {self.version[0]}.{self.version[1]}"


def find_python() -> HostPython:
    """The machine's own Python where there is a whole one, else the one that runs Mist. Raises
    `HostProblem`."""
    running = getattr(sys, "_base_executable", sys.executable)
    for program in ("/usr/bin/python3", running):
        try:
            told = subprocess.run(
                [program, "-I", "-c", _PROBE], capture_output=True, check=True, timeout=30
            )
        except (OSError, subprocess.SubprocessError):
            continue
        parts = json.loads(told.stdout)
        stdlib = Path(os.path.realpath(parts["stdlib"]))
        return HostPython(
            version=(parts["version"][0], parts["version"][1]),
            program=Path(parts["program"]),
            prefix=Path(parts["prefix"]),
            stdlib=stdlib,
            modules=Path(parts["modules"] or stdlib / "lib-dynload"),
            tag=parts["tag"],
        )
    raise HostProblem(
        "This machine has no Python with a whole standard library.",
        hint="Install it: apt install python3",
    )


def write_rootfs(python: HostPython, file: IO[bytes], *, deadline: Deadline) -> None:
    """Write a tar of a root file system in which `python`, `python3` and the shared libraries
    they need are all there is. Readable by every user in it."""
    with tarfile.open(fileobj=file, mode="w") as tar:
        done: set[Path] = set()
        for name, mode in _FOLDERS.items():
            _add_folder(tar, Path(name), mode, done)
        for name, text in _FILES.items():
            _add_bytes(tar, Path(name), text.encode(), done)
        program = _HOME / "bin" / python.program.name
        _add_file(tar, python.program, program, done)
        for name in {"python", "python3"} - {program.name}:
            _add_link(tar, program.with_name(name), program.name)
        standard = _HOME / python.stdlib.relative_to(python.prefix)
        for source in _standard_library(python):
            deadline.check()
            _add_file(tar, source, standard / source.relative_to(python.stdlib), done)
        modules = [path for path in python.modules.glob("*.so") if path.is_file()]
        if not python.modules.is_relative_to(python.stdlib):
            for source in modules:
                _add_file(tar, source, standard / "lib-dynload" / source.name, done)
        for library in sorted(_shared_libraries([python.program, *modules])):
            deadline.check()
            _add_file(tar, library, library.relative_to("/"), done)


def _standard_library(python: HostPython) -> Iterator[Path]:
    """Its files, each with the byte code that belongs to it, so that a start compiles nothing."""
    for folder, folders, names in os.walk(python.stdlib):
        folders[:] = sorted(
            name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")
        )
        for name in sorted(names):
            path = Path(folder, name)
            if not path.is_file() or name.endswith((".a", ".o")):
                continue
            yield path
            compiled = path.parent / "__pycache__" / f"{path.stem}.{python.tag}.pyc"
            if name.endswith(".py") and compiled.is_file():
                yield compiled


def _shared_libraries(files: Iterable[Path]) -> set[Path]:
    """What the dynamic linker would load for the files, itself included."""
    try:
        told = subprocess.run(
            ["ldd", *map(str, files)],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostProblem(
            "Mist could not find out which libraries this machine's Python needs.",
            hint="The program ldd is missing or fails: apt install libc-bin",
            detail=str(error),
        ) from error
    lines = (_LIBRARY.fullmatch(line.strip()) for line in told.stdout.splitlines())
    return {Path(match[1]) for match in lines if match}


def _add_folder(tar: tarfile.TarFile, target: Path, mode: int, done: set[Path]) -> None:
    if target in done or target == Path("."):
        return
    _add_folder(tar, target.parent, 0o755, done)
    done.add(target)
    entry = tarfile.TarInfo(str(target))
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def _add_file(tar: tarfile.TarFile, source: Path, target: Path, done: set[Path]) -> None:
    """A regular file, also where the machine has a symlink to one."""
    if target in done:
        return
    _add_folder(tar, target.parent, 0o755, done)
    done.add(target)
    with open(source, "rb") as file:
        state = os.fstat(file.fileno())
        entry = tarfile.TarInfo(str(target))
        entry.size, entry.mtime = state.st_size, int(state.st_mtime)
        entry.mode = 0o755 if state.st_mode & stat.S_IXUSR else 0o644
        tar.addfile(entry, file)


def _add_bytes(tar: tarfile.TarFile, target: Path, data: bytes, done: set[Path]) -> None:
    _add_folder(tar, target.parent, 0o755, done)
    entry = tarfile.TarInfo(str(target))
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def _add_link(tar: tarfile.TarFile, target: Path, to: str) -> None:
    entry = tarfile.TarInfo(str(target))
    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, to, 0o777
    tar.addfile(entry)
