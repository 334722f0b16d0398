"""Reading packed streams without trusting what they say of their size."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
from collections.abc import Iterator
from typing import IO

from apps.engine.errors import InvalidSource

XZ_MEMORY = 128 * 1024 * 1024
"""What unpacking xz may take: its file says how much it needs, up to some GB."""
_BLOCK = 64 * 1024
_ZIP_END, _ZIP64 = b"PK\x05\x06", b"PK\x06\x07"
_ZIP_TAIL = 65_535 + 22
_DIRECTORY_MAX = 16 * 1024 * 1024


class Bounded(io.RawIOBase):
    """The stream, which ends badly after so many bytes."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        super().__init__()
        self._stream, self._left = stream, most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(_BLOCK if size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise InvalidSource("The archive is too large when it is unpacked.")
        return data


class _Xz(io.RawIOBase):
    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self._unpacker = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        while True:
            if self._unpacker.eof:
                rest = self._unpacker.unused_data or self._stream.read(_BLOCK)
                if not rest.strip(b"\0"):
                    return 0
                self._unpacker = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            elif self._unpacker.needs_input:
                rest = self._stream.read(_BLOCK)
                if not rest:
                    raise EOFError("The archive ends too early.")
            else:
                rest = b""
            if data := self._unpacker.decompress(rest, max_length=len(buffer)):
                buffer[: len(data)] = data
                return len(data)


@contextlib.contextmanager
def opened(archive: IO[bytes]) -> Iterator[IO[bytes]]:
    """What is packed in the file, which its first bytes tell; the file itself where nothing is."""
    archive.seek(0)
    head = archive.read(6)
    archive.seek(0)
    try:
        if head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=archive) as stream:
                yield stream  # type: ignore[misc]
        elif head.startswith(b"BZh"):
            with bz2.BZ2File(archive) as packed:
                yield packed
        elif head.startswith(b"\xfd7zXZ\x00"):
            yield io.BufferedReader(_Xz(archive), _BLOCK)
        else:
            yield archive
    except lzma.LZMAError as error:
        raise InvalidSource("The archive is damaged, or needs too much memory.") from error


def zip_problem(archive: IO[bytes], entries_max: int) -> str:
    """Why this zip is not read: its directory, all of which is read at once, is too large. Empty
    for one that is."""
    archive.seek(0, io.SEEK_END)
    size = archive.tell()
    archive.seek(max(0, size - _ZIP_TAIL - 20))
    tail = archive.read()
    at = tail.rfind(_ZIP_END)
    if at < 0 or len(tail) < at + 22:
        return "The archive is damaged: it has no end."
    if tail[max(0, at - 20) : at].startswith(_ZIP64):
        return "This zip is of the kind for very large archives. Pack it as .tar.gz."
    entries = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if entries > entries_max or directory > _DIRECTORY_MAX:
        return f"The archive has more than {entries_max} entries."
    return ""
