"""Turn what git says when it fails into a sentence for a person."""

from __future__ import annotations

import contextlib
import difflib
import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.engine.errors import (
    MAKE_ROOM,
    BranchNotFound,
    CloneFailed,
    EngineError,
    HostKeyRefused,
    OutOfDisk,
)
from apps.engine.sources import display_url

ACCESS_PAGE = "on the app's page Source under Access"
_DETAIL_LINES = 10
_NAMED_BRANCHES = 10
_COMPARED_BRANCHES = 2_000
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class _Reason:
    pattern: re.Pattern[str]
    sentence: str
    hint: str
    kind: type[EngineError] = CloneFailed


def _reason(
    pattern: str, sentence: str, hint: str, kind: type[EngineError] = CloneFailed
) -> _Reason:
    return _Reason(re.compile(pattern, re.IGNORECASE), sentence, hint, kind)


# The first that matches counts: what is wrong on our side comes before what the server says.
_REASONS = (
    _reason(
        r"no space left on device|disk quota exceeded",
        "The disk is full: there is no room for the repository {name}.",
        MAKE_ROOM.format(again="deploy again"),
        OutOfDisk,
    ),
    _reason(
        r"mist: refused|socks5 connection to .*\(2\)",
        "Mist does not fetch from {host}: it leads, or redirects, to an address that is closed to "
        "it, such as one of the server itself, of its cloud or of its apps.",
        "Use the address by which other machines reach the Git host. For one on this very server "
        "set MIST_GIT_LOCALHOST=true.",
    ),
    _reason(
        r"remote host identification has changed|host key for .* has changed",
        "{host} shows another SSH key than the one that was confirmed. Mist has not gone on, and "
        "nothing was changed.",
        "Somebody may stand between this machine and it. If its operator says that the key is "
        f"new, replace it {ACCESS_PAGE}.",
        HostKeyRefused,
    ),
    _reason(
        r"no \S+ host key is known for|host key verification failed",
        "Nobody has confirmed the SSH key of {host} yet.",
        f"Compare its fingerprint with the one that its operator publishes, and confirm it, "
        f"{ACCESS_PAGE}.",
        HostKeyRefused,
    ),
    _reason(
        r"socks5 connection to .*\(4\)|could not resolve (host|proxy)|name or service not known|"
        r"temporary failure in name resolution",
        "The host {host} was not found.",
        "Check the repository's address for a typing error, and that this machine has working DNS.",
    ),
    _reason(
        r"socks5 connection to .*\([0-9]+\)|connection refused|couldn't connect to server|"
        r"no route to host|network is unreachable|failed to connect to",
        "Nothing answers at {host}.",
        "Check the repository's address and its port, and that this machine may connect to it.",
    ),
    _reason(
        r"certificate|gnutls_handshake|ssl_error|tls (connect|handshake)|"
        r"error:[0-9a-f]+:ssl routines|wrong version number",
        "No trusted TLS connection to {host} could be made.",
        "Check that its certificate is valid and that this machine trusts who signed it.",
    ),
    _reason(
        r"another host asks for a login",
        "The repository {name} redirects from {host} to another host, which asks for a login. The "
        "app's token is for {host} alone.",
        "Set the app's repository to the address that it redirects to, if you trust that.",
    ),
    _reason(
        r"permission denied \(|permission denied, please try again",
        "{host} does not accept the app's deploy key for {name}.",
        f"Add the key's public half to the repository as a deploy key: it stands {ACCESS_PAGE}.",
    ),
    _reason(
        r"could not read (username|password)|terminal prompts disabled|authentication failed|"
        r"repository .*not found|returned error: (401|403|404)|access denied|"
        r"does not appear to be a git repository|http 403",
        "The repository {name} at {host} is private or does not exist.",
        "Check the address by opening it in a browser. A private repository needs an access token "
        f"or a deploy key, which you give it {ACCESS_PAGE}; one that is there may have ended, or "
        "may not read this repository.",
    ),
    _reason(
        r"dumb http transport",
        "The server at {host} is too simple for Mist: it offers {name} as plain files.",
        "Use an address that speaks Git's smart HTTP protocol, or SSH.",
    ),
    _reason(
        r"is this a git repository|unable to update url base",
        "The address leads to a page at {host}, not to a Git repository.",
        "Copy the address that the Git host shows under 'Clone'.",
    ),
    _reason(
        r"operation too slow|timed out|timeout",
        "{host} did not answer in time.",
        "Deploy again; if it stays like this, check the connection of this machine to it.",
    ),
    _reason(
        r"early eof|rpc failed|hung up unexpectedly|connection (was )?reset|connection closed|"
        r"returned error: 5[0-9][0-9]|transfer closed",
        "The connection to {host} broke before everything was fetched.",
        "Deploy again; if it stays like this, look at the lines below.",
    ),
)


def explain(lines: Sequence[str], url: str) -> EngineError | None:
    """The reason behind the last lines of git's stderr, None when they hold no known one."""
    text = "\n".join(lines)
    for reason in _REASONS:
        if reason.pattern.search(text):
            names = {"name": display_url(url), "host": _host(url)}
            return reason.kind(
                reason.sentence.format(**names), hint=reason.hint, detail=_detail(lines)
            )
    return None


def unexplained(lines: Sequence[str], url: str) -> CloneFailed:
    said = next((line for line in reversed(lines) if line.startswith("fatal: ")), "")
    because = f": {said.removeprefix('fatal: ')}" if said else "."
    return CloneFailed(
        f"Git could not fetch {display_url(url)}{because}",
        hint="The lines below say what git said.",
        detail=_detail(lines),
    )


def says_no_such_ref(lines: Sequence[str]) -> bool:
    return any("couldn't find remote ref" in line for line in lines)


def says_no_such_commit(lines: Sequence[str]) -> bool:
    return any("not our ref" in line for line in lines)


def says_commit_not_offered(lines: Sequence[str]) -> bool:
    """Some servers hand out only what a branch or tag points at."""
    return any("unadvertised object" in line for line in lines)


def no_such_branch(ref: str, branches: Sequence[str], url: str) -> CloneFailed:
    """Names up to ten branches that exist, most similar first."""
    if not branches:
        return CloneFailed(
            f"The repository {display_url(url)} is empty: it has no branches yet.",
            hint="Push a commit to it, then deploy again.",
        )
    near = difflib.get_close_matches(
        ref, branches[:_COMPARED_BRANCHES], n=_NAMED_BRANCHES, cutoff=0.0
    )
    rest = len(branches) - len(near)
    more = f" and {rest} more" if rest else ""
    return BranchNotFound(
        f"There is no branch or tag '{ref}' in {display_url(url)}. "
        f"Its branches are: {', '.join(near)}{more}.",
        hint="Set the app's branch to one of them. A commit is named by all its 40 digits.",
    )


def no_such_commit(sha: str, url: str) -> BranchNotFound:
    return BranchNotFound(
        f"There is no commit {sha[:12]} in {display_url(url)}.",
        hint="Check that it has been pushed, and that its branch has not been rewritten since.",
    )


@contextlib.contextmanager
def disk_errors_explained(doing: str) -> Iterator[None]:
    """Turn the machine's refusal to write (no room, no permission) into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise OutOfDisk(
                f"The disk is full: Mist could not {doing}.",
                hint=MAKE_ROOM.format(again="deploy again"),
            ) from error
        raise CloneFailed(
            f"Mist could not {doing}: {error.strerror or error}.",
            hint="Check the permissions of Mist's data directory.",
            detail=str(error),
        ) from error


def _detail(lines: Sequence[str]) -> str:
    return "\n".join(lines[-_DETAIL_LINES:])


def _host(url: str) -> str:
    if "://" in url:
        return url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return url.partition("@")[2].partition(":")[0]
