"""A program with a token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from django.http import HttpResponse
from django.test import Client

from apps.accounts.models import User
from apps.api.models import ApiToken, Scope
from apps.api.services import token_create
from apps.deployments import pipeline
from apps.deployments.tasks import claim_next

EVERYTHING = [scope.value for scope in Scope]
DEPLOY = "/api/v1/apps/shop/web/deploy"


class Program:
    """Asks the API with one token."""

    def __init__(self, token: ApiToken, secret: str) -> None:
        self.token, self.secret = token, secret
        self.client = Client()

    def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> HttpResponse:
        """`body` is sent as JSON, `raw` as it is; headers as keyword arguments."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = headers.pop("content_type", "application/json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Authorization", f"Bearer {self.secret}")
        answer: Any = self.client.generic(method, path, content, kind, headers=named)
        return cast(HttpResponse, answer)

    def get(self, path: str, **headers: Any) -> HttpResponse:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **more: Any) -> HttpResponse:
        return self.ask("POST", path, body, **more)


MakeProgram = Callable[..., Program]


@pytest.fixture
def program_of() -> MakeProgram:
    def make(user: User, *scopes: str, **more: Any) -> Program:
        made = token_create(user=user, name="CI", scopes=scopes or EVERYTHING, **more)
        return Program(made.token, made.secret)

    return make


@pytest.fixture
def program(program_of: MakeProgram, alice: User) -> Program:
    """With a token of alice, who owns the instance, for everything."""
    return program_of(alice)


def problem(answer: Any) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.content)
    assert found["status"] == answer.status_code
    return found


def run_next() -> None:
    """What a worker does with the oldest deployment that waits."""
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
