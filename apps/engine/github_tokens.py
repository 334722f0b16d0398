"""Installation tokens, kept in this process's memory and nowhere else."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from apps.engine.github_facts import Token
from apps.engine.github_key import AppKey

LEFT = dt.timedelta(minutes=15)
"""A token that lives for less is replaced. GitHub's live for an hour; a clone may take ten
minutes."""


@dataclass(frozen=True)
class Scope:
    """What a token may do: as little as it is made for."""

    key: AppKey
    installation_id: int
    permissions: tuple[tuple[str, str], ...]
    """Name → `read` or `write`."""
    repository_id: int | None = None
    """None for all that the installation has."""

    def wish(self) -> Mapping[str, object]:
        """The body of the request for it."""
        one = {} if self.repository_id is None else {"repository_ids": [self.repository_id]}
        return {"permissions": dict(self.permissions), **one}


class TokenBox:
    """Tokens by what they may do. Of several threads that need the same one, one makes it and the
    others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[Scope, Token] = {}
        self._makers: dict[Scope, threading.Lock] = {}

    def get(self, scope: Scope, make: Callable[[], Token]) -> Token:
        """One that lives for `LEFT` at least, made by `make` where there is none."""
        if (found := self._fresh(scope)) is not None:
            return found
        with self._lock:
            maker = self._makers.setdefault(scope, threading.Lock())
        with maker:
            if (found := self._fresh(scope)) is not None:
                return found
            made = make()
            with self._lock:
                self._tidy()
                self._tokens[scope] = made
            return made

    def forget(self, scope: Scope) -> None:
        """GitHub does not take it any more."""
        with self._lock:
            self._tokens.pop(scope, None)

    def clear(self) -> None:
        with self._lock:
            self._tokens.clear()

    def _fresh(self, scope: Scope) -> Token | None:
        with self._lock:
            found = self._tokens.get(scope)
        return found if found is not None and _lives(found) else None

    def _tidy(self) -> None:
        for scope in [one for one, token in self._tokens.items() if not _lives(token)]:
            del self._tokens[scope]
            maker = self._makers.get(scope)
            if maker is not None and not maker.locked():
                del self._makers[scope]


def _lives(token: Token) -> bool:
    return token.expires_at - dt.datetime.now(dt.UTC) > LEFT


tokens = TokenBox()
"""Of this process."""
