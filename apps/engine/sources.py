"""What Mist accepts as a repository, a ref, a name, a path, a port or a host name.

Pure checks: each takes what a person typed and returns the one form that Mist stores, or raises
`InvalidSource` with a sentence that names the rule and shows an example. Every pattern is matched
whole, so a newline at the end is no way round it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import idna

from apps.engine.errors import DockerfileNotFound, InvalidSource

MAX_URL = 2_000
MAX_NAME = 40
MAX_REF = 200
MAX_PATH = 500
MAX_HOST = 253

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]{{2,45}}\])"
_USER = r"[a-z0-9_][a-z0-9._-]*"
_URL_PATH = r"[a-z0-9._~/+@,:=!%-]+"
# Without re.ASCII a pattern that ignores case takes the Kelvin sign for a k.
_ANY_CASE = re.ASCII | re.IGNORECASE
_WEB_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[0-9]+))?/(?P<path>{_URL_PATH})",
    _ANY_CASE,
)
_SSH_URL = re.compile(
    rf"(?P<scheme>ssh)://(?:(?P<user>{_USER})@)?(?P<host>{_HOST})(?::(?P<port>[0-9]+))?"
    rf"/(?P<path>{_URL_PATH})",
    _ANY_CASE,
)
_SCP_LIKE = re.compile(rf"(?P<user>{_USER})@(?P<host>{_HOST}):(?P<path>{_URL_PATH})", _ANY_CASE)
_REF = re.compile(r"[A-Za-z0-9_.@#+/-]+")
_SHA = re.compile(r"[0-9a-fA-F]{40}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_HEALTH_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOCKERFILE_NAME = re.compile(r"(?:docker|container)file(?:\..+)?|.+\.dockerfile", _ANY_CASE)

_WALK_DEPTH = 4
_WALK_ENTRIES = 5_000
_WALK_SKIPS = frozenset({".git", "node_modules", "vendor", ".venv"})


def check_repository_url(text: str) -> str:
    """The address with scheme and host in lower case and without a slash at the end."""
    example = "for example https://github.com/owner/repository or git@github.com:owner/repository"
    if len(text) > MAX_URL:
        raise InvalidSource(f"A repository address has at most {MAX_URL} characters.")
    if _holds_a_secret(text):
        raise InvalidSource(
            "A repository address must not hold a user, password or token: it would end up in "
            f"logs. Give it without, {example}."
        )
    match = _WEB_URL.fullmatch(text) or _SSH_URL.fullmatch(text) or _SCP_LIKE.fullmatch(text)
    if match is None:
        raise InvalidSource(
            f"A repository address starts with https://, http://, ssh:// or git@host: — {example}."
        )
    parts = match.groupdict()
    if (port := parts.get("port")) is not None:
        check_port(port)
    path = parts["path"].rstrip("/")
    if not _is_plain_url_path(path):
        raise InvalidSource(
            "The path of a repository address has no empty, '.' or '..' part, no part that "
            f"starts with '-' and no encoded control character — {example}."
        )
    user = f"{parts['user']}@" if parts.get("user") else ""
    host = parts["host"].lower()
    if parts.get("scheme") is None:
        return f"{user}{host}:{path}"
    return f"{parts['scheme'].lower()}://{user}{host}{f':{port}' if port else ''}/{path}"


def _holds_a_secret(text: str) -> bool:
    """Whether there is anything before an '@' of a web address, a password before that of an SSH
    one, or a query (which is where access tokens go)."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return False
    userinfo, at, _ = rest.partition("/")[0].rpartition("@")
    if scheme.lower() in {"http", "https"}:
        return bool(at) or "?" in rest
    return ":" in userinfo


def _is_plain_url_path(path: str) -> bool:
    if re.search(r"^:|::|%(?![2-9a-f][0-9a-f])|%7f", path, _ANY_CASE):
        return False
    parts = path.removeprefix("/").split("/")
    return all(part not in {"", ".", ".."} and not part.startswith("-") for part in parts)


def display_url(url: str) -> str:
    """Short form for a person: `halden/tidewater-api`. Never fails; unknown forms stay as they
    are."""
    match = _WEB_URL.fullmatch(url) or _SSH_URL.fullmatch(url) or _SCP_LIKE.fullmatch(url)
    if match is None:
        return url
    parts = match["path"].strip("/").removesuffix(".git").split("/")
    return "/".join(parts[-2:])


def check_ref(text: str) -> str:
    """A branch, a tag or a commit of 40 digits (returned in lower case).

    Stricter than Git, which would also take `$(id)` and `a;b`.
    """
    parts = text.split("/")
    good = (
        len(text) <= MAX_REF
        and _REF.fullmatch(text)
        and not text.startswith(("-", "refs/", "@"))
        and not text.endswith(".")
        and ".." not in text
        and all(part and not part.startswith(".") for part in parts)
        and not any(part.endswith(".lock") for part in parts)
    )
    if not good or text == "HEAD":
        raise InvalidSource(
            "A branch or tag has letters, digits and . _ / @ # + - only, starts with a letter, "
            f"digit or _ and has at most {MAX_REF} characters, for example main or release/1.2; "
            "a commit is its 40 digits."
        )
    return text.lower() if _SHA.fullmatch(text) else text


def is_sha(ref: str) -> bool:
    """Whether the ref is a commit's own 40 digits."""
    return _SHA.fullmatch(ref) is not None


def check_name(text: str) -> str:
    """The name of a project or an app."""
    if len(text) > MAX_NAME or not _NAME.fullmatch(text):
        raise InvalidSource(
            f"A name has 1 to {MAX_NAME} lower-case letters, digits and '-', and neither starts "
            "nor ends with '-', for example tidewater-api."
        )
    return text


def check_relative_path(text: str) -> str:
    """A path inside the repository, without './' and doubled slashes; '' is its root."""
    example = "for example services/web or deploy/Dockerfile"
    if len(text) > MAX_PATH:
        raise InvalidSource(f"A path in the repository has at most {MAX_PATH} characters.")
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if "\\" in text or not _is_printable(text) or any(part != part.strip() for part in parts):
        raise InvalidSource(
            "A path in the repository has no backslash, no control character and no space at "
            f"either end of a name, {example}."
        )
    if text.startswith("/") or ".." in parts:
        raise InvalidSource(
            f"A path is relative to the repository's root and stays inside it, {example}."
        )
    return "/".join(parts)


def _is_printable(text: str) -> bool:
    """No control, format, surrogate or unassigned characters, no line separators."""
    return all(unicodedata.category(char)[0] != "C" for char in text) and not re.search(
        "[\u2028\u2029]", text
    )


def check_port(value: str | int) -> int:
    """A TCP port, 1 to 65535."""
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text):
        raise InvalidSource("A port is a number from 1 to 65535, for example 8000.")
    if not 1 <= int(text) <= 65_535:
        raise InvalidSource("A port is a number from 1 to 65535, for example 8000.")
    return int(text)


def check_health_path(text: str) -> str:
    """The path (and query) that a health check asks for."""
    if len(text) > MAX_PATH or text.startswith("//") or not _HEALTH_PATH.fullmatch(text):
        raise InvalidSource(
            "A health-check path starts with one '/' and has no spaces, '#' or control "
            f"characters and at most {MAX_PATH} characters, for example /healthz."
        )
    return text


def check_host_name(text: str) -> str:
    """A host name in lower-case ASCII (`bücher.example` becomes `xn--bcher-kva.example`), without
    a dot at the end. No wildcard, scheme, port, path or IP address."""
    name = text.removesuffix(".").lower()
    if not name.isascii() and _is_printable(name):
        try:
            name = idna.encode(name, uts46=True).decode("ascii").removesuffix(".")
        except idna.IDNAError:
            name = ""
    if len(name) > MAX_HOST or not _HOST_NAME.fullmatch(name):
        raise InvalidSource(
            "A host name has labels of letters, digits and '-' with dots between them, without "
            "scheme, port, path or wildcard, for example shop.example.com."
        )
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        raise InvalidSource(
            "A host name must not be an IP address, for example use shop.example.com."
        )
    return name


def resolve_inside(root: Path, relative: str) -> Path:
    """The real path of `relative` under `root`, which need not exist. Raises `InvalidSource` when
    it leaves `root`, be it through a symlink."""
    base = root.resolve()
    relative = check_relative_path(relative)
    try:
        path = (base / relative).resolve()
    except (OSError, RuntimeError):
        raise InvalidSource(f"'{relative}' is a symlink that leads back to itself.") from None
    if not path.is_relative_to(base):
        raise InvalidSource(
            f"'{relative}' is a symlink that leaves the repository. Put the files themselves into "
            "the repository, for example as services/web."
        )
    return path


def find_dockerfile(checkout: Path, root_directory: str, dockerfile_path: str) -> tuple[Path, Path]:
    """The build's context and its Dockerfile, both as real paths inside the checkout.

    `dockerfile_path` is relative to `root_directory`. Raises `InvalidSource` for paths that leave
    the checkout and `DockerfileNotFound`, whose hint names the Dockerfiles there are.
    """
    root_directory = check_relative_path(root_directory)
    wanted = check_relative_path(dockerfile_path) or "Dockerfile"
    context = resolve_inside(checkout, root_directory)
    if not context.is_dir():
        raise DockerfileNotFound(
            f"The repository has no directory '{root_directory}'.", hint=_found_hint(checkout)
        )
    where = f"{root_directory}/{wanted}" if root_directory else wanted
    dockerfile = resolve_inside(checkout, where)
    if not dockerfile.is_file():
        raise DockerfileNotFound(
            f"The repository has no Dockerfile at '{where}'.", hint=_found_hint(checkout)
        )
    return context, dockerfile


def _found_hint(checkout: Path) -> str:
    found = _walk_for_dockerfiles(checkout)
    if not found:
        return (
            "There is no Dockerfile anywhere in the repository: add one that says how to build "
            "and start the app."
        )
    names = ", ".join(found[:5])
    return f"Set the app's root directory and Dockerfile path to one of those found: {names}."


def _walk_for_dockerfiles(checkout: Path) -> list[str]:
    """Paths relative to the checkout, nearest to its root first. Looks at a bounded number of
    entries and follows no symlinks, for the repository is a stranger's."""
    found: list[str] = []
    seen = 0
    level = [""]
    for _ in range(_WALK_DEPTH):
        below: list[str] = []
        for folder in level:
            with os.scandir(checkout / folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen > _WALK_ENTRIES:
                        return sorted(found, key=_by_depth)
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if not _is_printable(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False) and entry.name not in _WALK_SKIPS:
                        below.append(path)
                    elif _DOCKERFILE_NAME.fullmatch(entry.name) and entry.is_file(
                        follow_symlinks=False
                    ):
                        found.append(path)
        level = sorted(below)
    return sorted(found, key=_by_depth)


def _by_depth(path: str) -> tuple[int, str]:
    return path.count("/"), path
