"""Which submodules a commit has, and where they are."""

from __future__ import annotations

from dataclasses import dataclass

from apps.engine.data import GitAccess
from apps.engine.deadline import Deadline
from apps.engine.errors import CloneFailed, InvalidSource
from apps.engine.git_mirror import Mirror
from apps.engine.repository_place import place_of
from apps.engine.sources import check_repository_url

_GITLINK = "160000"


@dataclass(frozen=True)
class Submodule:
    path: str
    """In the work tree of the repository that has it."""
    sha: str
    written: str
    """Its address as `.gitmodules` has it."""

    def address(self, parent: str, access: GitAccess) -> str:
        """Its address, checked as a repository's own; a relative one starts at `parent`.

        One for SSH at the host of a parent that a password opens becomes one for HTTPS: the
        password is what there is. Raises `InvalidSource`.
        """
        try:
            url = check_repository_url(_resolved(self.written, parent))
        except InvalidSource as error:
            raise InvalidSource(
                f"The submodule {self.path} has an address that Mist does not fetch from. "
                f"{error.sentence}",
                hint="Correct it in .gitmodules, or switch submodules off for this app.",
            ) from error
        own, other = place_of(parent) if parent else None, place_of(url)
        if access.password and own and (own.host, own.scheme) == (other.host, "https"):
            return f"https://{parent.partition('://')[2].partition('/')[0]}/{path_of(url)}"
        return url


def find_submodules(mirror: Mirror, sha: str, deadline: Deadline) -> list[Submodule]:
    """Those of the commit whose files were written last. What is in the tree without an address
    stays an empty folder, as Git leaves it."""
    listed = mirror.git("ls-files", "--stage", "-z", deadline=deadline)
    links = dict[str, str]()
    for entry in filter(None, listed.stdout.split("\0")):
        facts, _, path = entry.partition("\t")
        mode, commit, _ = facts.split(" ", 2)
        if mode == _GITLINK:
            links[path] = commit
    if not links:
        return []
    addresses = _addresses(mirror, sha, deadline)
    return [
        Submodule(path, commit, addresses[path])
        for path, commit in links.items()
        if path in addresses
    ]


def _addresses(mirror: Mirror, sha: str, deadline: Deadline) -> dict[str, str]:
    """Path → address. Read as a blob: what it includes is not followed."""
    output = mirror.git(
        *("config", "--blob", f"{sha}:.gitmodules", "--no-includes", "--list", "-z"),
        deadline=deadline,
    )
    found: dict[str, dict[str, str]] = {}
    for entry in filter(None, output.stdout.split("\0")):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        if section == "submodule" and field in {"path", "url"}:
            found.setdefault(name, {})[field] = value
    return {facts["path"]: facts["url"] for facts in found.values() if len(facts) == 2}


def _resolved(address: str, parent: str) -> str:
    """gitmodules(5): one that starts with ./ or ../ is relative to the parent's own address."""
    if not address.startswith(("./", "../")):
        return address
    if not parent:
        raise InvalidSource("A relative address needs a repository that has one itself.")
    path = path_of(parent)
    front = parent.removesuffix(path)
    parts = path.split("/")
    for piece in address.split("/"):
        if piece == ".." and parts:
            parts.pop()
        elif piece == "..":
            raise InvalidSource("It leads out of its host's repositories.")
        elif piece not in {"", "."}:
            parts.append(piece)
    return front + "/".join(parts)


def path_of(url: str) -> str:
    """What follows the host in a checked address, without the slash or colon between."""
    if "://" in url:
        return url.partition("://")[2].partition("/")[2]
    host, at, rest = url.partition("@")
    if not at:
        raise CloneFailed(f"{host} is no address of a repository.")
    return rest.partition("]:")[2] if rest.startswith("[") else rest.partition(":")[2]
