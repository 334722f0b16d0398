"""GitHub as a GitHub App sees it: what it is installed on, its repositories, and reports of
deployments. Plain data in and out; tokens are made when they are needed.

GitHub: "REST API endpoints for GitHub Apps", "… for app installations", "… for deployments",
"… for commit statuses".
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from apps.engine.egress import Rules
from apps.engine.github_answers import next_path
from apps.engine.github_errors import GitHubAway, GitHubGone, GitHubKeyRefused, GitHubMoved
from apps.engine.github_facts import (
    FoundInstallation,
    NewApp,
    Repository,
    Token,
    as_expected,
    read_installation,
    read_new_app,
    read_repository,
    read_token,
)
from apps.engine.github_http import Answer, Asker
from apps.engine.github_key import AppKey, app_token
from apps.engine.github_tokens import Scope, tokens

Found = TypeVar("Found")
PAGES_MAX = 100
"""Of a list, a hundred things each."""
KEPT_PAGES = 300
_LIST = (("metadata", "read"),)
_READ = (("contents", "read"), ("metadata", "read"))
_REPORT = (("deployments", "write"), ("metadata", "read"), ("statuses", "write"))
PERMISSIONS = {
    "contents": "read",
    "metadata": "read",
    "deployments": "write",
    "statuses": "write",
}
"""All that a GitHub App of Mist's asks for; each token has less."""


def convert_manifest(code: str, *, asker: Asker) -> NewApp:
    """What GitHub made from a manifest, for the code that it sent a browser back with. Each code
    is good once, for an hour. Raises what `Asker.ask` does."""
    answer = asker.ask("POST", f"/app-manifests/{quote(code, safe='')}/conversions")
    with as_expected():
        return read_new_app(answer.data)


class GitHub:
    """One GitHub App. Every method asks GitHub, and raises what `Asker.ask` does."""

    def __init__(self, key: AppKey, rules: Rules, **patience: Any) -> None:
        self._key = key
        self._asker = Asker(key.api_url, rules, **patience)

    # -------------------------------------------------------------------------------- by the app

    def installations(self) -> list[FoundInstallation]:
        """Every account that has it, suspended ones too."""
        return self._all(
            f"/app/installations?{_query()}",
            lambda path, etag: self._asker.ask("GET", path, bearer=app_token(self._key), etag=etag),
            lambda data: [read_installation(one) for one in data],
            kept_as=("app", self._key),
        )

    def clone_token(self, installation_id: int, repository_id: int) -> Token:
        """Reads this one repository, for `LEFT` at least."""
        return self._token(Scope(self._key, installation_id, _READ, repository_id))

    def _token(self, scope: Scope) -> Token:
        def make() -> Token:
            answer = self._asker.ask(
                "POST",
                f"/app/installations/{scope.installation_id}/access_tokens",
                bearer=app_token(self._key),
                body=scope.wish(),
            )
            with as_expected():
                return read_token(answer.data)

        return tokens.get(scope, make)

    # ------------------------------------------------------------------------ by an installation

    def repositories(self, installation_id: int, *, age: float = 0.0) -> list[Repository]:
        """All that the installation has, by name. `age`: seconds that a list may be old for which
        GitHub is not asked."""
        scope = Scope(self._key, installation_id, _LIST)
        found = self._all(
            f"/installation/repositories?{_query()}",
            lambda path, etag: self._as(scope, "GET", path, etag=etag),
            lambda data: [read_repository(one) for one in data["repositories"]],
            kept_as=("repositories", scope),
            age=age,
        )
        return sorted(found, key=lambda one: one.full_name.lower())

    def branches(
        self, installation_id: int, repository: Repository, *, age: float = 0.0
    ) -> list[str]:
        """By name, the default branch first. `age` as for `repositories`."""
        scope = Scope(self._key, installation_id, _READ, repository.id)
        found = self._all(
            f"/repos/{repository.full_name}/branches?{_query()}",
            lambda path, etag: self._as(scope, "GET", path, etag=etag),
            lambda data: [str(one["name"]) for one in data],
            kept_as=("branches", scope),
            age=age,
        )
        return sorted(found, key=lambda name: (name != repository.default_branch, name.lower()))

    def reporter(self, installation_id: int, repository_id: int) -> Reporter:
        """Reports of one repository, under the name that it has now. Asks for a token."""
        scope = Scope(self._key, installation_id, _REPORT, repository_id)
        full_name = self._token(scope).full_name
        if not full_name:
            raise GitHubGone("GitHub does not say what the repository is called.")

        def ask(method: str, path: str, **more: Any) -> Answer:
            try:
                return self._as(scope, method, path, **more)
            except GitHubMoved as error:
                # The next token comes with the name of then.
                tokens.forget(scope)
                raise GitHubAway(f"{full_name} has another name now.", hint="Try again.") from error

        return Reporter(full_name, ask)

    def _as(self, scope: Scope, method: str, path: str, **more: Any) -> Answer:
        """Asked with a token; with a new one when GitHub takes the kept one no more."""
        try:
            return self._asker.ask(method, path, bearer=self._token(scope).text, **more)
        except GitHubKeyRefused:
            tokens.forget(scope)
            return self._asker.ask(method, path, bearer=self._token(scope).text, **more)

    def _all(
        self,
        path: str,
        ask: Callable[[str, str], Answer],
        read: Callable[[Any], list[Found]],
        *,
        kept_as: tuple[object, ...],
        age: float = 0.0,
    ) -> list[Found]:
        """Every page. What has not changed since it was last read is not sent again, and does not
        count against GitHub's limit."""
        found: list[Found] = []
        following: str | None = path
        for _ in range(PAGES_MAX):
            if following is None:
                break
            place = (*kept_as, following)
            kept = pages.get(place)
            if kept is None or kept.age >= age:
                kept = self._page(following, kept, ask, read)
                pages.keep(place, kept)
            found += kept.rows
            following = kept.following
        return found

    def _page(
        self,
        path: str,
        kept: Page | None,
        ask: Callable[[str, str], Answer],
        read: Callable[[Any], list[Any]],
    ) -> Page:
        answer = ask(path, kept.etag if kept else "")
        if answer.status == 304 and kept is not None:
            return Page(kept.etag, kept.rows, kept.following)
        with as_expected():
            rows = read(answer.data)
        following = next_path(answer.headers, self._key.api_url)
        return Page(answer.headers.get("etag", ""), rows, following)


def _query() -> str:
    return urlencode({"per_page": 100})


class Reporter:
    """What Mist tells GitHub of one repository's deployments."""

    def __init__(self, full_name: str, ask: Callable[..., Answer]) -> None:
        self.full_name = full_name
        self._ask = ask
        self._at = f"/repos/{full_name}"

    def deployment_find(self, *, commit: str, environment: str, mark: str) -> int | None:
        """The number of the deployment of that commit whose payload carries this mark, where an
        earlier answer got lost."""
        query = urlencode({"sha": commit, "environment": environment, "per_page": 100})
        answer = self._ask("GET", f"{self._at}/deployments?{query}")
        with as_expected():
            for one in answer.data:
                payload = one.get("payload")
                if isinstance(payload, dict) and payload.get("mist") == mark:
                    return int(one["id"])
        return None

    def deployment_create(
        self, *, commit: str, environment: str, mark: str, description: str
    ) -> int:
        """Nothing is merged, and no other status is waited for: the deployment goes on already."""
        body = {
            "ref": commit,
            "environment": environment,
            "description": description,
            "payload": {"mist": mark},
            "auto_merge": False,
            "required_contexts": [],
        }
        answer = self._ask("POST", f"{self._at}/deployments", body=body)
        with as_expected():
            return int(answer.data["id"])

    def deployment_status(self, number: int, **said: str | bool) -> None:
        """`state`, `description`, `log_url`, `environment_url`, `auto_inactive`."""
        self._ask("POST", f"{self._at}/deployments/{number}/statuses", body=said)

    def commit_status(self, commit: str, **said: str) -> None:
        """`state`, `description`, `target_url`, `context`."""
        self._ask("POST", f"{self._at}/statuses/{commit}", body=said)


@dataclass(frozen=True)
class Page:
    """One page of a list, as GitHub gave it."""

    etag: str
    rows: list[Any]
    following: str | None
    read_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        return time.monotonic() - self.read_at


class Pages:
    """Pages of lists that were read, the oldest one dropped first. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Page] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> Page | None:
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: tuple[object, ...], page: Page) -> None:
        with self._lock:
            self._kept[key] = page
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_PAGES:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


pages = Pages()
"""Of this process."""
