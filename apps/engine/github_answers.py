"""What GitHub's answers mean. Nothing here connects to anything.

GitHub: "Rate limits for the REST API", "Using pagination in the REST API".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apps.engine.github_errors import (
    GitHubAway,
    GitHubError,
    GitHubGone,
    GitHubKeyRefused,
    GitHubMoved,
    GitHubRefused,
    GitHubSuspended,
)

SECONDARY_SECONDS = 60.0
"""How long to wait after a secondary limit that names no time."""
WORDS_MAX = 200
_LINK = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="next"')


def wait_of(status: int, headers: Mapping[str, str], data: Any, *, now: float) -> float | None:
    """Seconds until GitHub answers again; None where the answer is about no limit."""
    if status not in (403, 429):
        return None
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if after.isdecimal():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - now) + 1.0
    if status == 429 or "secondary rate limit" in message_of(data).lower():
        return SECONDARY_SECONDS
    return None


def message_of(data: Any) -> str:
    """What GitHub says about an error, with its details; empty without words."""
    if not isinstance(data, dict):
        return ""
    parts = [data.get("message")]
    errors = data.get("errors")
    for one in errors if isinstance(errors, list) else []:
        parts.append(one.get("message") if isinstance(one, dict) else one)
    words = ": ".join(part for part in parts if isinstance(part, str) and part)
    return " ".join(words.split())[:WORDS_MAX]


def problem_of(host: str, status: int, data: Any) -> GitHubError:
    """The error that stands for an answer which is neither good nor a limit."""
    said = message_of(data)
    words = f": {said}" if said else "."
    if status >= 500 or status == 408:
        return GitHubAway(
            f"{host} has a problem of its own (HTTP {status}).", hint="Try again in some minutes."
        )
    if status in (301, 302, 303, 307, 308):
        return GitHubMoved(
            f"{host} says that this has moved, and Mist follows no redirect.",
            hint="Check that the address of GitHub is the one that its pages have.",
        )
    if status == 401:
        return GitHubKeyRefused(
            f"{host} does not accept Mist's key{words}",
            hint="Check that the GitHub App still exists and that this machine's clock is right.",
        )
    if status == 403 and "suspended" in said.lower():
        return GitHubSuspended(
            "The installation of the GitHub App is suspended.",
            hint="An owner of the account can end that on GitHub under Settings, Applications.",
        )
    if status in (404, 410):
        return GitHubGone(
            f"{host} does not know this, or does not show it to Mist.",
            hint="Check on GitHub that the app is still installed and may see the repository.",
        )
    return GitHubRefused(f"{host} refused it (HTTP {status}){words}")


def next_path(headers: Mapping[str, str], api_url: str) -> str | None:
    """Path and query of the next page; None on the last one, and for a link that leads anywhere
    but to this API: the token would go along."""
    found = _LINK.search(headers.get("link", ""))
    if found is None or not found[1].startswith(f"{api_url}/"):
        return None
    return found[1].removeprefix(api_url)
