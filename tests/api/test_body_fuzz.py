"""Whatever stands in the body of the deploy hook: an answer in form, and a deployment only of what
is a ref and a commit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.engine.sources import check_ref
from apps.projects.models import App
from tests.api.conftest import DEPLOY, MakeProgram, Program

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FIELDS = st.sampled_from(["ref", "commit", "no_cache", "Ref", "app", "__class__", ""])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=50)
    | st.text("0123456789abcdefABCDEF", min_size=39, max_size=41)
    | st.from_regex(r"[A-Za-z0-9_./@#+-]{1,20}"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(FIELDS | st.text(max_size=10), VALUES, max_size=4)
KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@pytest.fixture
def sturdy(program_of: MakeProgram, alice: User, web: App, settings: Settings) -> Program:
    settings.MIST_API_REQUESTS_PER_MINUTE = 1_000_000
    return program_of(alice, "deploy")


def send(program: Program, raw: bytes, **more: str) -> None:
    with transaction.atomic():
        answer = program.ask("POST", DEPLOY, raw=raw, **more)
        found = json.loads(answer.content)
        made = Deployment.objects.last()
        transaction.set_rollback(True)
    assert answer.status_code in (202, 400, 415, 422), answer.content
    assert (made is not None) == (answer.status_code == 202)
    if made is None:
        assert found["status"] == answer.status_code and found["detail"]
        return
    assert check_ref(made.ref) == made.ref
    assert made.commit == "" or re.fullmatch(r"[0-9a-f]{40}", made.commit)
    given: dict[str, Any] = json.loads(raw) if raw.strip() else {}
    assert given.keys() <= {"ref", "commit", "no_cache"}
    assert made.no_cache is given.get("no_cache", False)


@FUZZ
@given(raw=st.binary(max_size=200))
def test_any_bytes(sturdy: Program, raw: bytes) -> None:
    send(sturdy, raw)


@FUZZ
@given(body=OBJECTS)
def test_any_fields(sturdy: Program, body: dict[str, Any]) -> None:
    send(sturdy, json.dumps(body).encode())


@FUZZ
@given(body=OBJECTS, key=KEYS, kind=st.sampled_from(["application/json", "text/json", "x", ";"]))
def test_any_headers(sturdy: Program, body: dict[str, Any], key: str, kind: str) -> None:
    send(sturdy, json.dumps(body).encode(), Idempotency_Key=key, content_type=kind)
