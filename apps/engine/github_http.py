"""One question to GitHub's REST API, asked again where that may help.

The address of a GitHub Enterprise Server is one that somebody typed: every connection is made by
`egress`, and no redirect is followed, which would carry a token to wherever it leads.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from apps.engine import egress
from apps.engine.egress import Refused, Rules
from apps.engine.github_answers import problem_of, wait_of
from apps.engine.github_errors import GitHubAway, GitHubError, GitHubLimited, GitHubRefused

ANSWER_MAX = 8 * 1024 * 1024
"""Bytes of an answer. A page of a hundred repositories has some 600 KB."""
SILENCE_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""For a whole answer, however slowly it comes."""
FIRST_PAUSE, PAUSE_MAX = 0.5, 8.0
_PIECE = 64 * 1024


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    data: Any
    """What its JSON says; None without any."""


@dataclass(frozen=True)
class Asker:
    """Asks one GitHub.

    `patience`: seconds that a question may take longer because GitHub wants a pause or does not
    answer well; 0 asks once. `pause` sleeps, and may end the work by an exception of its own.
    """

    api_url: str
    rules: Rules
    patience: float = 5.0
    pause: Callable[[float], None] = time.sleep

    def ask(
        self,
        method: str,
        path: str,
        *,
        bearer: str = "",
        body: Mapping[str, Any] | None = None,
        etag: str = "",
    ) -> Answer:
        """The answer to a question that went well, 304 where nothing is new since `etag`.

        Raises `GitHubLimited` with the time when it would answer, `GitHubAway` when it does not,
        and a `GitHubRefused` that says why.
        """
        headers = _headers(bearer, etag)
        data = None if body is None else json.dumps(body).encode()
        left, pause = self.patience, FIRST_PAUSE
        while True:
            problem = self._once(method, path, headers, data)
            if isinstance(problem, Answer):
                return problem
            wait = pause
            if isinstance(problem, GitHubLimited):
                wait = max(pause, problem.retry_at - time.time())
            if not isinstance(problem, GitHubAway) or wait > left:
                raise problem
            self.pause(wait)
            left, pause = left - wait, min(pause * 2, PAUSE_MAX)

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], data: bytes | None
    ) -> Answer | GitHubError:
        where = urlsplit(self.api_url)
        host = where.hostname or ""
        connection = _connection(where, self.rules)
        try:
            connection.request(method, f"{where.path}{path}", body=data, headers=dict(headers))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            content = _read(response)
        except Refused:
            return GitHubRefused(
                f"Mist does not connect to {host}: it leads to an address that is closed to it.",
                hint="Use the address by which other machines reach GitHub.",
            )
        except ssl.SSLError:
            return GitHubAway(
                f"No trusted TLS connection to {host} could be made.",
                hint="Check that its certificate is valid and that this machine trusts who "
                "signed it.",
            )
        except (OSError, http.client.HTTPException, UnicodeError):
            return GitHubAway(
                f"{host} does not answer.",
                hint="Check that this machine may connect to it, then try again.",
            )
        finally:
            connection.close()
        return _judged(host, response.status, found, content)


def _headers(bearer: str, etag: str) -> dict[str, str]:
    headers = {
        "Accept": "application/vnd.github+json",
        "Content-Type": "application/json",
        "User-Agent": "Mist",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    if etag:
        headers["If-None-Match"] = etag
    return headers


def _judged(
    host: str, status: int, headers: Mapping[str, str], content: bytes | None
) -> Answer | GitHubError:
    if content is None:
        return GitHubAway(f"{host} sent more than Mist reads, or too slowly.", hint="Try again.")
    try:
        data = json.loads(content) if content else None
    except (ValueError, RecursionError):
        if status < 300:
            return GitHubAway(
                f"{host} answered something that is not GitHub's.",
                hint="Check the address, and whether something stands between Mist and GitHub.",
            )
        data = None
    if status < 300 or status == 304:
        return Answer(status, headers, data)
    wait = wait_of(status, headers, data, now=time.time())
    if wait is not None:
        return GitHubLimited(
            f"{host} has been asked too often.",
            hint=f"It answers again in about {max(1, round(wait / 60))} min.",
            retry_at=time.time() + wait,
        )
    return problem_of(host, status, data)


class _Guarded(http.client.HTTPConnection):
    def __init__(self, host: str, port: int, rules: Rules) -> None:
        super().__init__(host, port, timeout=SILENCE_SECONDS)
        self.rules = rules

    def connect(self) -> None:
        self.sock = egress.connect(self.host, self.port, self.rules)
        self.sock.settimeout(SILENCE_SECONDS)


class _GuardedTls(_Guarded):
    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _connection(where: SplitResult, rules: Rules) -> http.client.HTTPConnection:
    """By the machine's own proxy where it has one, which then is the one to refuse."""
    host, secure = where.hostname or "", where.scheme == "https"
    port = where.port or (443 if secure else 80)
    proxy = urllib.request.getproxies().get("https", "") if secure else ""
    if proxy and not urllib.request.proxy_bypass(host):
        return _by_proxy(urlsplit(proxy if "://" in proxy else f"http://{proxy}"), host, port)
    return _GuardedTls(host, port, rules) if secure else _Guarded(host, port, rules)


def _by_proxy(proxy: SplitResult, host: str, port: int) -> http.client.HTTPConnection:
    made = http.client.HTTPSConnection(
        proxy.hostname or "", proxy.port or 3128, timeout=SILENCE_SECONDS
    )
    headers = {}
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    made.set_tunnel(host, port, headers)
    return made


def _read(response: http.client.HTTPResponse) -> bytes | None:
    """The body; None when it is too long or takes too long."""
    content, until = bytearray(), time.monotonic() + ANSWER_SECONDS
    while piece := response.read1(_PIECE):
        content += piece
        if len(content) > ANSWER_MAX or time.monotonic() > until:
            return None
    return bytes(content)
