"""The description of the API says what the API does: addresses, scopes and every answer."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.api.openapi import description
from apps.api.problems import KINDS
from apps.deployments.models import Deployment, Status
from apps.engine.errors import BuildFailed
from apps.engine.fake import FakeEngine
from apps.projects.access import api_needs_of
from apps.projects.models import App
from tests.access.test_every_api_address import api_addresses
from tests.api.conftest import MakeProgram, Program, run_next
from tests.deployments.test_deployment_run import deploy

APP = "/api/v1/apps/{project}/{app}"
ONE = APP + "/deployments/{id}"
PATHS = {
    "openapi": "/api/v1/openapi.json",
    "token": "/api/v1/token",
    "app_list": "/api/v1/apps",
    "app": APP,
    "app_deploy": APP + "/deploy",
    "app_restart": APP + "/restart",
    "deployment_list": APP + "/deployments",
    "deployment": ONE,
    "deployment_cancel": ONE + "/cancel",
    "deployment_rollback": ONE + "/rollback",
}


@pytest.fixture
def document(client: Client, db: None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get("/api/v1/openapi.json").content)
    return found


def test_it_describes_every_address_with_its_scopes(document: dict[str, Any]) -> None:
    said = {
        (path, method): one["security"]
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if method != "parameters"
    }
    declared = {}
    for pattern in api_addresses():
        needs = api_needs_of(pattern.callback)
        assert needs is not None
        for method, need in needs.items():
            scopes = [{"token": [need.scope.value]}] if need.scope else []
            declared[PATHS[str(pattern.name)], method.lower()] = scopes
    assert said == declared


def test_it_is_sound(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = [
        one["operationId"]
        for methods in document["paths"].values()
        for method, one in methods.items()
        if method != "parameters"
    ]
    assert len(names) == len(set(names))
    for found in references(document):
        assert resolve(document, found), found


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for item in node.values() for found in references(item)]


def resolve(document: dict[str, Any], pointer: str) -> Any:
    node: Any = document
    for part in pointer.lstrip("#/").split("/"):
        node = node[part]
    return node


class Checked:
    """Asks, and holds each answer against the description."""

    def __init__(self, program: Program, document: dict[str, Any]) -> None:
        self.program, self.document = program, document
        self.seen: set[tuple[str, str, int]] = set()

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> HttpResponse:
        answer = self.program.ask(method, path, body, **more)
        template = self._template(path.partition("?")[0])
        responses = self.document["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in responses, (method, path, answer.status_code)
        said = responses[str(answer.status_code)]
        said = resolve(self.document, said["$ref"]) if "$ref" in said else said
        self.seen.add((method, template, answer.status_code))
        for name in said.get("headers", {}):
            assert name in answer
        if "content" not in said:
            assert answer.content == b""
            return answer
        [(kind, content)] = said["content"].items()
        assert answer["Content-Type"] == kind
        found = json.loads(answer.content)
        schema = {**content["schema"], "components": self.document["components"]}
        jsonschema.validate(
            found,
            schema,
            cls=jsonschema.Draft202012Validator,
            format_checker=jsonschema.FormatChecker(),
        )
        if kind == "application/problem+json" and found["type"] != "about:blank":
            address, pointer = found["type"].split("#")
            entry = resolve(self.document, pointer)
            assert address == "/api/v1/openapi.json"
            assert entry == {"status": answer.status_code, "title": found["title"]}
        return answer

    def _template(self, path: str) -> str:
        found: str
        [found] = [
            template
            for template in self.document["paths"]
            if len(template.split("/")) == len(path.split("/"))
            and all(
                part == given or part.startswith("{")
                for part, given in zip(template.split("/"), path.split("/"), strict=True)
            )
        ]
        return found


def test_every_answer_is_as_described(
    fake: FakeEngine,
    program_of: MakeProgram,
    alice: User,
    web: App,
    document: dict[str, Any],
    settings: Settings,
) -> None:
    asked = Checked(program_of(alice), document)
    web_path, hook = "/api/v1/apps/shop/web", "/api/v1/apps/shop/web/deploy"
    asked.ask("GET", "/api/v1/openapi.json")
    asked.ask("GET", "/api/v1/token")
    asked.ask("GET", "/api/v1/apps")
    asked.ask("GET", "/api/v1/apps?page=x")
    asked.ask("GET", web_path)
    asked.ask("POST", hook, {"ref": "main"}, Idempotency_Key="k")
    asked.ask("POST", hook, {"ref": "main"}, Idempotency_Key="k")
    asked.ask("POST", hook, {"ref": "other"}, Idempotency_Key="k")
    asked.ask("POST", f"{web_path}/restart")
    run_next()
    deploy(web)
    fake.containers.fail("build", BuildFailed("Step 4 failed."))
    deploy(web)
    assert set(Deployment.objects.values_list("status", flat=True)) == {
        Status.RETIRED, Status.LIVE, Status.FAILED,
    }  # fmt: skip
    for number in (1, 2, 3, 4):
        asked.ask("GET", f"{web_path}/deployments/{number}")
    asked.ask("GET", f"{web_path}/deployments")
    asked.ask("POST", f"{web_path}/restart")
    asked.ask("POST", f"{web_path}/deployments/1/rollback", {})
    asked.ask("POST", f"{web_path}/deployments/2/rollback")
    asked.ask("POST", f"{web_path}/deployments/4/cancel")
    asked.ask("POST", f"{web_path}/deployments/4/cancel", {"x": 1})
    asked.ask("POST", f"{web_path}/deployments/3/cancel")
    asked.ask("PATCH", web_path, {"branch": "stable"})
    asked.ask("PATCH", web_path, {"branch": ""})
    asked.ask("PATCH", web_path, {"branch": "a b"})
    asked.ask("POST", hook, raw=b"{")
    asked.ask("POST", hook, raw=b" " * 70_000)
    asked.ask("POST", hook, {"ref": "main"}, content_type="text/plain")
    asked.ask("GET", "/api/v1/apps/nothing/web")
    asked.ask("GET", "/api/v1/token", Authorization="Bearer x")
    asked.program = program_of(alice, "read")
    asked.ask("DELETE", web_path)
    asked.program = program_of(alice)
    asked.ask("DELETE", web_path)
    settings.MIST_API_REQUESTS_PER_MINUTE = 1
    for _ in range(2):
        last = asked.ask("GET", "/api/v1/apps")
    assert last.status_code == 429
    good = {
        (method.upper(), path, int(status))
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if method != "parameters"
        for status in one["responses"]
        if status < "300"
    }
    assert good <= asked.seen
    assert {status for _, _, status in asked.seen} == {
        200, 202, 204, 400, 401, 403, 404, 409, 413, 415, 422, 429,
    }  # fmt: skip


def test_every_problem_has_a_status_it_may_have() -> None:
    assert set(description()["x-problems"]) == set(KINDS)
    assert all(400 <= status < 500 and title for status, title in KINDS.values())
