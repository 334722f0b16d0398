"""Revoking a token: one's own, and those of others for admins."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import InstanceRole, User
from apps.api.models import ApiToken
from apps.audit.models import AuditEvent
from tests.api.conftest import MakeProgram, Program, problem


@pytest.fixture
def bob(alice: User) -> User:
    return User.objects.create_user("bob@example.com", name="Bob", role=InstanceRole.MEMBER)


def test_it_works_no_more_from_the_next_request_on(
    program: Program, client: Client, alice: User
) -> None:
    client.force_login(alice)
    assert program.get("/api/v1/token").status_code == 200
    path = f"/account/tokens/{program.token.pk}/revoke/"
    assert "Revoke CI?" in client.get(path).content.decode()
    assert program.get("/api/v1/token").status_code == 200
    client.post(path)
    answer = program.get("/api/v1/token")
    assert answer.status_code == 401
    assert problem(answer)["type"].endswith("#/x-problems/invalid-token")
    event = AuditEvent.objects.get(action="token.revoke")
    assert (event.actor_id, event.thing_id) == (alice.pk, program.token.pk)


def test_it_is_revoked_once(program: Program, client: Client, alice: User) -> None:
    client.force_login(alice)
    path = f"/account/tokens/{program.token.pk}/revoke/"
    for _ in range(2):
        client.post(path)
    assert AuditEvent.objects.filter(action="token.revoke").count() == 1
    assert f'href="{path}"' not in client.get("/account/tokens/").content.decode()
    assert client.get(path).status_code == 302


def test_nobody_finds_or_revokes_those_of_others(
    program: Program, client: Client, bob: User
) -> None:
    client.force_login(bob)
    path = f"/account/tokens/{program.token.pk}/revoke/"
    assert client.get(path).status_code == client.post(path).status_code == 404
    assert program.token.prefix not in client.get("/account/tokens/").content.decode()
    assert program.get("/api/v1/token").status_code == 200


def test_an_admin_sees_and_revokes_those_of_others(
    program_of: MakeProgram, client: Client, alice: User, bob: User
) -> None:
    theirs = program_of(bob)
    client.force_login(alice)
    text = client.get("/tokens/").content.decode()
    assert theirs.token.prefix in text and theirs.secret not in text
    client.post(f"/tokens/{theirs.token.pk}/revoke/")
    assert theirs.get("/api/v1/token").status_code == 401
    assert ApiToken.objects.get().revoked_by == alice


def test_an_admin_has_no_power_over_owners(
    program: Program, client: Client, bob: User, alice: User
) -> None:
    User.objects.filter(pk=bob.pk).update(role=InstanceRole.ADMIN)
    client.force_login(bob)
    path = f"/tokens/{program.token.pk}/revoke/"
    text = client.get("/tokens/").content.decode()
    assert program.token.prefix in text and path not in text
    assert client.post(path).status_code == 403
    assert program.get("/api/v1/token").status_code == 200
