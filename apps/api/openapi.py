"""The description of the API for programs: OpenAPI 3.1."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from apps.api.models import Scope
from apps.api.problems import CONTENT_TYPE, KINDS
from apps.api.schemas import schemas

APP = "/api/v1/apps/{project}/{app}"
ONE = f"{APP}/deployments/{{id}}"
ALWAYS = (400, 401, 403, 404, 429)
"""Statuses that every address with a token may answer."""
PROBLEM_WORDS = {
    400: "The request is malformed",
    401: "No token, or one that does not work",
    403: "The token lacks the scope, or its person the role",
    404: "There is no such thing, or the token may not see it",
    409: "It cannot be done as things are now",
    413: "The body is too large",
    415: "The body is no JSON",
    422: "Fields are wrong, or a key was used for something else",
    429: "Too many requests: see Retry-After",
}
SCOPE_WORDS = {
    Scope.READ: "every GET; every token has it",
    Scope.DEPLOY: "deploy, roll back, cancel, restart",
    Scope.WRITE: "change the settings of apps",
    Scope.ADMIN: "delete apps",
}


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    name: str
    summary: str
    scope: Scope | None
    answers: str
    """The schema of the answer; empty where it has no body."""
    status: int = 200
    takes: str = ""
    """The schema of the body, which may always be left out unless it is `Settings`."""
    query: str = ""
    located: bool = False
    """Whether a new thing comes of it: then it knows `Idempotency-Key` and says `Location`."""
    conflicts: bool = False


OPERATIONS = {
    ("get", "/api/v1/openapi.json"): Operation("description", "This description", None, "Any"),
    ("get", "/api/v1/token"): Operation("token", "What the token may do", Scope.READ, "Token"),
    ("get", "/api/v1/apps"): Operation(
        "listApps", "Apps that the token sees", Scope.READ, "Apps", query="page"
    ),
    ("get", APP): Operation("getApp", "One app", Scope.READ, "App"),
    ("patch", APP): Operation(
        "changeApp",
        "Change settings; those not named stay. They count from the next deployment on",
        Scope.WRITE,
        "App",
        takes="Settings",
    ),
    ("delete", APP): Operation(
        "deleteApp", "Delete an app. Its volumes stay", Scope.ADMIN, "", status=204
    ),
    ("post", f"{APP}/deploy"): Operation(
        "deploy", "Queue a deployment", Scope.DEPLOY, "Deployment", 202, "Deploy", located=True
    ),
    ("post", f"{APP}/restart"): Operation(
        "restartApp",
        "Stop and start the live version",
        Scope.DEPLOY,
        "App",
        202,
        "Nothing",
        conflicts=True,
    ),
    ("get", f"{APP}/deployments"): Operation(
        "listDeployments",
        "Deployments, the newest first",
        Scope.READ,
        "Deployments",
        query="before",
    ),
    ("get", ONE): Operation("getDeployment", "One deployment", Scope.READ, "Deployment"),
    ("post", f"{ONE}/cancel"): Operation(
        "cancelDeployment",
        "Ask it to end",
        Scope.DEPLOY,
        "Deployment",
        202,
        "Nothing",
        conflicts=True,
    ),
    ("post", f"{ONE}/rollback"): Operation(
        "rollBack",
        "Queue a deployment that runs its image again",
        Scope.DEPLOY,
        "Deployment",
        202,
        "Rollback",
        located=True,
        conflicts=True,
    ),
}


@functools.cache
def description() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, _parameters(path))[method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mist",
            "version": "1",
            "description": "Deploy apps and look at them. Errors are problem details (RFC 9457); "
            "a problem's type points at its entry in x-problems.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas() | {"Any": {"type": "object"}},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token of the account page. Scopes: "
                    + "; ".join(f"{scope.value}: {SCOPE_WORDS[scope]}" for scope in Scope),
                }
            },
            "responses": {f"Problem{status}": _problem(status) for status in PROBLEM_WORDS},
        },
        "x-problems": {
            kind: {"status": status, "title": title} for kind, (status, title) in KINDS.items()
        },
    }


def _parameters(path: str) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if not names:
        return {}
    kinds = {"id": {"type": "integer", "minimum": 1}}
    return {
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": kinds.get(name, {"type": "string"}),
            }
            for name in names
        ]
    }


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [] if operation.scope is None else [{"token": [operation.scope.value]}],
        "responses": _responses(operation),
    }
    if operation.takes:
        schema = {"$ref": f"#/components/schemas/{operation.takes}"}
        made["requestBody"] = {
            "required": operation.takes == "Settings",
            "content": {"application/json": {"schema": schema}},
        }
    parameters = []
    if operation.query:
        number = {"type": "integer", "minimum": 1}
        parameters.append({"name": operation.query, "in": "query", "schema": number})
    if operation.located:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "A retry with the same key within 24 hours does nothing again.",
                "schema": {"type": "string", "maxLength": 200},
            }
        )
    return made | ({"parameters": parameters} if parameters else {})


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    if operation.answers:
        schema = {"$ref": f"#/components/schemas/{operation.answers}"}
        good["content"] = {"application/json": {"schema": schema}}
    if operation.located:
        where = {"type": "string", "format": "uri-reference"}
        good["headers"] = {"Location": {"description": "The deployment", "schema": where}}
    found = {str(operation.status): good}
    problems = set(ALWAYS) if operation.scope else set()
    problems |= {413, 415, 422} if operation.takes else set()
    problems |= {422} if operation.query else set()
    problems |= {409} if operation.conflicts else set()
    return found | {
        str(status): {"$ref": f"#/components/responses/Problem{status}"}
        for status in sorted(problems)
    }


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": PROBLEM_WORDS[status], "content": {CONTENT_TYPE: {"schema": schema}}}
