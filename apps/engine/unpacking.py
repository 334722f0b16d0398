"""Unpack an archive that a person brought: tar (plain, gzip, bzip2, xz) or zip, told by content.

Nothing leaves the folder that it is unpacked to, and what an archive says of itself is believed of
nothing: bytes are counted as they are written, names are checked one by one, and links are made
last, so that nothing is ever written through one. Sources: OWASP "File Upload", "Zip Slip";
CVE-2007-4559 (tarfile); a zip bomb's and a tar bomb's sizes lie.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from apps.engine.errors import InvalidSource
from apps.engine.unpacking_streams import Bounded, opened, zip_problem

ENTRIES_MAX = 50_000
LINK_MAX = 4096
_NAME_MAX, _PATH_MAX = 255, 4096
_HEADER_MAX = 1024 * 1024
"""Bytes of a long name or of a pax header, which tarfile reads at once."""
_SKIPPED = ("__MACOSX",)
_BLOCK = 256 * 1024
_KINDS = "Mist takes .zip, .tar, .tar.gz, .tar.bz2 and .tar.xz."


@dataclass(frozen=True)
class Entry:
    """What an archive holds under one name."""

    parts: tuple[str, ...]
    content: IO[bytes] | None = None
    """Of a file, to be read at once."""
    executable: bool = False
    link: str = ""
    """Where a symbolic link leads."""
    same_as: tuple[str, ...] = ()
    """Of a hard link: the file before it."""


@dataclass
class _Target:
    folder: Path
    left: int
    """Bytes that may still be written."""
    links: list[Entry] = field(default_factory=list)
    tops: set[str] = field(default_factory=set)


def unpack(archive: IO[bytes], folder: Path, *, most: int) -> Path:
    """Write what is in the archive below `folder`, which is made, `most` bytes together at the
    most; executable bits are kept. Returns where it is: a single folder around everything is left
    out. Raises `InvalidSource`; whatever was written by then the caller removes."""
    folder.mkdir(parents=True)
    target = _Target(folder, most)
    try:
        for count, entry in enumerate(_entries(archive, most)):
            if count >= ENTRIES_MAX:
                raise InvalidSource(f"The archive has more than {ENTRIES_MAX} entries.")
            _write(target, entry)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # The disk's, not the archive's.
        raise InvalidSource(f"The archive is damaged. {_KINDS}") from error
    except (NotImplementedError, UnicodeError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidSource):
            raise
        raise InvalidSource(f"Mist cannot read this archive. {_KINDS}") from error
    root = folder
    if len(target.tops) == 1:
        only = folder / next(iter(target.tops))
        root = only if only.is_dir() and not only.is_symlink() else folder
    for entry in target.links:
        _link(target, entry, depth=0 if root == folder else 1)
    return root


def _write(target: _Target, entry: Entry) -> None:
    target.tops.add(entry.parts[0])
    path = target.folder.joinpath(*entry.parts)
    if entry.link:
        target.links.append(entry)
        return
    if entry.content is None and not entry.same_as:
        _make_folder(target, entry.parts)
        return
    _make_folder(target, entry.parts[:-1])
    if path.is_dir():
        raise InvalidSource(f"{_shown(entry)} is a file and a folder in this archive.")
    if entry.same_as:
        before = target.folder.joinpath(*entry.same_as)
        if not before.is_file():
            raise InvalidSource(f"{_shown(entry)} is a link to what is not in the archive.")
        executable = bool(before.stat().st_mode & 0o100)
        with before.open("rb") as content:
            _copy(target, content, path, executable)
    elif entry.content is not None:
        _copy(target, entry.content, path, entry.executable)


def _make_folder(target: _Target, parts: tuple[str, ...]) -> None:
    """Real folders all the way: there are no links yet."""
    path = target.folder
    for part in parts:
        path = path / part
        if path.exists() and not path.is_dir():
            raise InvalidSource(f"{'/'.join(parts)} is a file and a folder in this archive.")
        path.mkdir(exist_ok=True)


def _copy(target: _Target, content: IO[bytes], path: Path, executable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    fresh = path.with_name(f".mist-{os.urandom(8).hex()}")
    with os.fdopen(os.open(fresh, flags, 0o755 if executable else 0o644), "wb") as file:
        while block := content.read(min(_BLOCK, target.left + 1)):
            target.left -= len(block)
            if target.left < 0:
                raise InvalidSource("The archive is too large when it is unpacked.")
            file.write(block)
    # Of two files of one name the later counts; a file may have been read for it right now.
    fresh.replace(path)


def _link(target: _Target, entry: Entry, *, depth: int) -> None:
    """Make a symbolic link that leads nowhere outside. `depth` is how far the root of everything
    lies below the folder.

    Only at its beginning a way may go up: behind the name of another link that would be up from
    wherever that one leads.
    """
    way = entry.link.split("/")
    ups = next((n for n, part in enumerate(way) if part not in ("..", ".")), len(way))
    climbs = way[:ups].count("..")
    if entry.link.startswith("/") or ".." in way[ups:] or climbs > len(entry.parts) - 1 - depth:
        raise InvalidSource(f"The link {_shown(entry)} leads out of the archive.")
    _make_folder(target, entry.parts[:-1])
    path = target.folder.joinpath(*entry.parts)
    for parent in path.parents:
        if parent == target.folder:
            break
        if parent.is_symlink():
            raise InvalidSource(f"{_shown(entry)} lies behind a link in this archive.")
    if path.is_dir() and not path.is_symlink():
        raise InvalidSource(f"{_shown(entry)} is a link and a folder in this archive.")
    path.unlink(missing_ok=True)
    path.symlink_to(entry.link)


# ---------------------------------------------------------------------------------------- reading


def _entries(archive: IO[bytes], most: int) -> Iterator[Entry]:
    archive.seek(0)
    if archive.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip_entries(archive)
    return _tar_entries(archive, most)


class _Member(tarfile.TarInfo):
    """A member whose own headers are small."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        long = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        pax = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.type in (*long, *pax) and self.size > _HEADER_MAX:
            raise InvalidSource("The archive has a name that is too long.")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def _tar_entries(archive: IO[bytes], most: int) -> Iterator[Entry]:
    # Headers and the ends of blocks come on top of what the files hold.
    with opened(archive) as plain:
        stream = Bounded(plain, most + ENTRIES_MAX * 2048)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as found:
            for member in found:
                parts = parts_of(member.name)
                if not parts:
                    continue
                if member.isdir():
                    yield Entry(parts)
                elif member.issym():
                    yield Entry(parts, link=_way(member.linkname, member.name))
                elif member.islnk():
                    yield Entry(parts, same_as=parts_of(member.linkname) or ("",))
                elif member.isreg() and not member.issparse():
                    content = found.extractfile(member)
                    yield Entry(parts, content, executable=bool(member.mode & 0o111))
                else:
                    raise InvalidSource(
                        f"{member.name!r} is neither a file, a folder nor a link. {_KINDS}"
                    )
                # What is not kept is not remembered either.
                found.members = []  # type: ignore[attr-defined]


def _zip_entries(archive: IO[bytes]) -> Iterator[Entry]:
    if problem := zip_problem(archive, ENTRIES_MAX):
        raise InvalidSource(problem)
    with zipfile.ZipFile(archive) as found:
        for info in found.infolist():
            name = info.filename
            if info.create_system == 0:  # Made on Windows, where some write its own slashes.
                name = name.replace("\\", "/")
            parts = parts_of(name)
            if not parts:
                continue
            if info.flag_bits & 1:
                raise InvalidSource("The archive has a password. Pack it without.")
            mode = info.external_attr >> 16 if info.create_system == 3 else 0
            if name.endswith("/"):
                yield Entry(parts)
                continue
            with found.open(info) as content:
                if stat.S_ISLNK(mode):
                    way = content.read(LINK_MAX + 1).decode(errors="surrogateescape")
                    yield Entry(parts, link=_way(way, name))
                elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise InvalidSource(f"{name!r} is neither a file, a folder nor a link.")
                else:
                    yield Entry(parts, content, executable=bool(mode & 0o111))


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a name in an archive; none for what is left out (the archive's
    own top, what Git or macOS keep beside the files). Raises `InvalidSource` for a name that leads
    elsewhere."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise InvalidSource(f"The name {name[:200]!r} leads out of the archive.")
    long = any(len(os.fsencode(part)) > _NAME_MAX for part in parts)
    if long or len(os.fsencode(name)) > _PATH_MAX:
        raise InvalidSource(f"The name {name[:100]!r}… is too long.")
    if any(part.lower() == ".git" for part in parts) or parts[:1] == _SKIPPED:
        return ()
    return parts


def _way(text: str, name: str) -> str:
    if not text or "\0" in text or len(os.fsencode(text)) > LINK_MAX:
        raise InvalidSource(f"The link {name[:200]!r} leads nowhere.")
    return text


def _shown(entry: Entry) -> str:
    return repr("/".join(entry.parts)[:200])
