"""Errors of the API: problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

CONTENT_TYPE = "application/problem+json"
DESCRIPTION = "/api/v1/openapi.json"
KINDS = {
    "no-token": (401, "A token is needed"),
    "invalid-token": (401, "The token does not work"),
    "insufficient-scope": (403, "The token lacks a scope"),
    "insufficient-role": (403, "Your role does not allow this"),
    "not-kept": (409, "The version is no longer kept"),
    "over": (409, "The deployment is over"),
    "nothing-runs": (409, "There is no version to start"),
    "malformed": (400, "The body is no JSON object"),
    "invalid-key": (400, "The Idempotency-Key is none"),
    "key-reused": (422, "The Idempotency-Key was used for something else"),
    "invalid-input": (422, "Some fields are wrong"),
    "too-large": (413, "The body is too large"),
    "not-json": (415, "The body has to be JSON"),
    "too-many": (429, "Too many requests"),
}
"""What may be wrong → its status and title. What only its status says has none of these."""


class Problem(Exception):
    """A request that is not carried out, and why: raised anywhere below the API's middleware."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail
        self.errors, self.headers = errors, dict(headers or {})

    def response(self) -> HttpResponse:
        status, title = KINDS[self.kind]
        # The fragment is a JSON pointer (RFC 6901) to the kind's own entry in the description.
        about: dict[str, Any] = {
            "type": f"{DESCRIPTION}#/x-problems/{self.kind}",
            "title": title,
            "status": status,
            "detail": self.detail,
        }
        if self.errors is not None:
            about["errors"] = self.errors
        return _answer(about, status, self.headers)


def plain_problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """One that its status says enough about."""
    return _answer(plain(status, detail), status, headers or {})


def plain(status: int, detail: str) -> dict[str, Any]:
    # RFC 9457, 4.2.1: the title of about:blank is the status's own phrase.
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}


def _answer(about: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> HttpResponse:
    return HttpResponse(
        json.dumps(about), status=status, content_type=CONTENT_TYPE, headers=dict(headers)
    )
