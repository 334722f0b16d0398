"""Serve a bare repository over smart HTTP, for reading only.

`respond` is the whole protocol; a Django view or a test server around it is ten lines.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs

from apps.engine.git_process import end_session, git_command, git_environment

MAX_REQUEST = 1024 * 1024
"""Bytes of a request's body, packed and unpacked."""

_CHUNK = 64 * 1024
_STALL = 60
"""Seconds after which upload-pack gives up on a client that says nothing."""
_PROTOCOL = re.compile(r"version=[0-2](?::[a-z0-9=-]{1,40}){0,4}")
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}


class BodyTooLarge(ValueError):
    """The request's body is over `MAX_REQUEST` bytes, or is no gzip stream though it says so."""


@dataclass(frozen=True)
class GitResponse:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] = field(default_factory=lambda: iter(()))
    """The body. Closing the iterator ends git."""


def respond(
    repo: Path,
    method: str,
    path_info: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes | IO[bytes],
) -> GitResponse:
    """Answer one request. `path_info` is what follows the repository's own address, such as
    `/info/refs`; `headers` may be in any case. A stream in `body` ends where the request does."""
    given = {name.lower(): value for name, value in headers.items()}
    protocol = given.get("git-protocol", "")
    service = parse_qs(query).get("service", [""])[-1]
    if "git-receive-pack" in {service, path_info.removeprefix("/")}:
        return _plain(403, "This repository can only be read.")
    if path_info == "/info/refs" and method in {"GET", "HEAD"}:
        if service != "git-upload-pack":
            return _plain(403, "This server speaks the smart protocol only.")
        return GitResponse(
            200,
            {"Content-Type": "application/x-git-upload-pack-advertisement", **_NO_CACHE},
            iter((advertise_refs(repo, protocol=protocol),)),
        )
    if path_info == "/git-upload-pack" and method == "POST":
        return _respond_to_upload_pack(repo, given, body, protocol)
    return _plain(404, "There is nothing here.")


def advertise_refs(repo: Path, *, protocol: str) -> bytes:
    """The body of `/info/refs?service=git-upload-pack`. `protocol` is the Git-Protocol header."""
    done = subprocess.run(
        _upload_pack(repo, "--advertise-refs"),
        env=_environment(protocol),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    if _PROTOCOL.fullmatch(protocol) and "version=2" in protocol:
        return done.stdout
    return b"001e# service=git-upload-pack\n0000" + done.stdout


def upload_pack(repo: Path, body: bytes | IO[bytes], *, protocol: str) -> Iterator[bytes]:
    """Run `git upload-pack` on a request's (unpacked) body; git is gone when the iterator is
    exhausted or closed. Raises `BodyTooLarge`, before the first chunk."""
    request = _bounded(io.BytesIO(body) if isinstance(body, bytes) else body)
    return _run_upload_pack(repo, request, protocol)


def _respond_to_upload_pack(
    repo: Path, headers: Mapping[str, str], body: bytes | IO[bytes], protocol: str
) -> GitResponse:
    if headers.get("content-type") != "application/x-git-upload-pack-request":
        return _plain(415, "This is not a request of Git's.")
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    try:
        request = _bounded(stream)
        if headers.get("content-encoding", "identity") in {"gzip", "x-gzip"}:
            request = _unzip(request)
    except BodyTooLarge as error:
        return _plain(413, str(error))
    return GitResponse(
        200,
        {"Content-Type": "application/x-git-upload-pack-result", **_NO_CACHE},
        _run_upload_pack(repo, request, protocol),
    )


def _bounded(stream: IO[bytes]) -> bytes:
    data = bytearray()
    while block := stream.read(min(_CHUNK, MAX_REQUEST + 1 - len(data))):
        data += block
        if len(data) > MAX_REQUEST:
            raise BodyTooLarge(f"The request is longer than {MAX_REQUEST} bytes.")
    return bytes(data)


def _unzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(data, MAX_REQUEST + 1)
    except zlib.error:
        raise BodyTooLarge("The request is not the gzip stream that it says it is.") from None
    if len(unpacked) > MAX_REQUEST:
        raise BodyTooLarge(f"The request unpacks to more than {MAX_REQUEST} bytes.")
    return unpacked


def _run_upload_pack(repo: Path, request: bytes, protocol: str) -> Iterator[bytes]:
    # From a file: through a pipe, git and we could both wait for the other to read.
    with tempfile.TemporaryFile() as file:
        file.write(request)
        file.seek(0)
        process = subprocess.Popen(
            _upload_pack(repo, f"--timeout={_STALL}"),
            env=_environment(protocol),
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            while chunk := process.stdout.read1(_CHUNK):  # type: ignore[attr-defined]
                yield chunk
        finally:
            end_session(process)
            process.stdout.close()


def _upload_pack(repo: Path, option: str) -> list[str]:
    return git_command("upload-pack", "--strict", "--stateless-rpc", option, str(repo))


def _environment(protocol: str) -> dict[str, str]:
    environment = git_environment()
    if _PROTOCOL.fullmatch(protocol):
        environment["GIT_PROTOCOL"] = protocol
    return environment


def _plain(status: int, text: str) -> GitResponse:
    headers = {"Content-Type": "text/plain; charset=utf-8", **_NO_CACHE}
    return GitResponse(status, headers, iter((f"{text}\n".encode(),)))
