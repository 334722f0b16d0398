"""What a push means for an app: decided from what the Git host said and what the app is set to.
Nothing here asks the database."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from apps.engine.errors import InvalidSource
from apps.engine.sources import check_ref

MOST_PATTERNS = 100
_SKIP = re.compile(r"\[(?:skip ci|ci skip|skip mist)\]", re.IGNORECASE)
_WEB_OR_SSH = re.compile(r"(?P<scheme>https?|ssh|git)://(?:[^/@]*@)?(?P<place>[^/]+)/(?P<path>.*)")
_SCP_LIKE = re.compile(r"(?:[^/@:]+@)(?P<place>\[[^\]]*\]|[^/:]+):(?P<path>.*)")
_SAME_HOST = {
    # Where SSH has to pass a firewall, and a name of the pages that people copy.
    "ssh.github.com": "github.com",
    "www.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}


class RefKind(enum.Enum):
    BRANCH = "branch"
    TAG = "tag"


@dataclass(frozen=True)
class Push:
    """One branch or tag of a repository that is another commit now."""

    addresses: tuple[str, ...]
    """Of the repository, as many as the host tells: for reading, for SSH, of its page."""
    kind: RefKind
    name: str
    """Of the branch or tag."""
    commit: str
    """40 digits; empty when it was deleted."""
    repository_id: str = ""
    """What the host calls the repository, whatever its name (`github:github.com:186853002`)."""
    author: str = ""
    message: str = ""
    """Of the commit, whole."""
    url: str = ""
    """Where the host shows the commit."""
    paths: frozenset[str] | None = None
    """What the push changed; None when the host did not tell all of it."""


class Pushed(Protocol):
    """Of an app, what a push is compared with."""

    branch: str
    auto_deploy: bool
    root_directory: str
    watch_paths: str
    tag_pattern: str


def reason_to_ignore(app: Pushed, push: Push) -> str:
    """Why the push deploys nothing of an app whose repository it is; empty when it does."""
    if push.kind is RefKind.TAG and not app.tag_pattern:
        return "tags do not deploy it"
    if push.kind is RefKind.TAG and not wild(app.tag_pattern, push.name):
        return f"tag {push.name[:100]} does not match {app.tag_pattern}"
    if push.kind is RefKind.BRANCH and push.name != app.branch:
        return f"branch is not {app.branch}"
    if not push.commit:
        return f"the {push.kind.value} was deleted"
    if not app.auto_deploy:
        return "deploys by hand"
    if found := _SKIP.search(push.message):
        return f"the commit says {found[0]}"
    if not _is_ref(push.name):
        return "the name of the tag is none that Mist takes"
    if push.kind is RefKind.BRANCH and not touches(app, push.paths):
        return "nothing that it is built from changed"
    return ""


def _is_ref(name: str) -> bool:
    try:
        check_ref(name)
    except InvalidSource:
        return False
    return True


# ------------------------------------------------------------------------------------- repositories


def is_same_repository(one: str, other: str) -> bool:
    """Whether two addresses are of one repository: over HTTPS or SSH, with or without `.git` or a
    user, whatever the case (the hosts that send webhooks know no two names that differ in it).
    Ports count between two addresses of one scheme only: the host has another for each."""
    first, second = _place(one), _place(other)
    if first is None or second is None or first[2:] != second[2:]:
        return False
    return first[0] != second[0] or first[1] == second[1]


def _place(address: str) -> tuple[str, str, str, str] | None:
    """Scheme, port, host and path."""
    text = address.strip()
    match = _WEB_OR_SSH.fullmatch(text) or _SCP_LIKE.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    scheme = parts.get("scheme") or "ssh"
    host, port = parts["place"].lower(), ""
    if "scheme" in parts and (cut := re.fullmatch(r"(.+):(\d*)", host)):
        host, port = cut[1], cut[2]
    port = port or {"https": "443", "http": "80", "ssh": "22"}.get(scheme, "")
    host = host.rstrip(".")
    path = unquote(parts["path"]).partition("?")[0].strip("/").casefold().removesuffix(".git")
    return scheme, port, _SAME_HOST.get(host, host), path.rstrip("/")


def host_of(address: str) -> str:
    """The host's name in a repository's address, empty where there is none."""
    place = _place(address)
    return "" if place is None else place[2]


# ------------------------------------------------------------------------------------------ paths


def touches(app: Pushed, paths: frozenset[str] | None) -> bool:
    """Whether any of the paths matters for what the app is built from; what is not known does.

    Without patterns everything below the root directory matters. With patterns what they say:
    relative to the repository, a folder stands for all in it, `*` for anything within a name, `**`
    for any folders, and a `!` before one takes out what those above it took in.
    """
    if paths is None:
        return True
    patterns = lines(app.watch_paths) or lines(app.root_directory)
    return not patterns or any(is_watched(patterns, path) for path in paths)


def is_watched(patterns: Sequence[str], path: str) -> bool:
    """Of the patterns that match the last one says."""
    # Where the first only takes out, all else is in.
    found = patterns[0].startswith("!")
    for pattern in patterns:
        if _below(pattern.removeprefix("!"), path):
            found = not pattern.startswith("!")
    return found


def _below(pattern: str, path: str) -> bool:
    """Whether the path is what the pattern names, or lies in it."""
    wanted = [part for part in pattern.split("/") if part not in ("", ".")]
    return _match([*wanted, "**"], path.split("/"), "**", wild) if wanted else True


def wild(pattern: str, text: str) -> bool:
    """Whether the pattern is the whole text, where `*` stands for anything and `?` for one
    character. Takes time in proportion to both lengths, whatever stars there are."""
    return _match(pattern, text, "*", lambda one, other: one in ("?", other))


def _match(pattern: Sequence[str], items: Sequence[str], star: str, same: _Same) -> bool:
    """The last star takes as little as it can, and more each time that the rest does not fit:
    what stars before it took need never be looked at again."""
    at = seen = 0
    last, taken = -1, 0
    while seen < len(items):
        if at < len(pattern) and pattern[at] == star:
            last, taken, at = at, seen, at + 1
        elif at < len(pattern) and same(pattern[at], items[seen]):
            at, seen = at + 1, seen + 1
        elif last >= 0:
            taken += 1
            at, seen = last + 1, taken
        else:
            return False
    return all(one == star for one in pattern[at:])


class _Same(Protocol):
    def __call__(self, pattern: str, text: str, /) -> bool: ...


def lines(text: str) -> list[str]:
    """Those that say something."""
    return [line.strip() for line in text.splitlines() if line.strip()]
