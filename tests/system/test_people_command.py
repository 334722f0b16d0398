"""People from a terminal: list, roles, invitations."""

from __future__ import annotations

import json

import pytest
from django.core import mail
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import Invitation, User
from apps.projects.models import Membership, Project
from tests.system.test_command_run import mist


@pytest.fixture
def bob(alice: User) -> User:
    return User.objects.create_user("bob@example.com", name="Bob")


def test_it_lists_who_has_an_account(alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    lines = mist("users").splitlines()
    assert lines[0].split() == ["alice@example.com", "owner", "Alice", "Archer"]
    assert lines[1].split() == ["bob@example.com", "member", "Bob", "deactivated"]
    rows = json.loads(mist("users", "--json"))
    assert [(row["email"], row["role"], row["active"]) for row in rows] == [
        ("alice@example.com", "owner", True),
        ("bob@example.com", "member", False),
    ]


def test_it_says_that_there_is_nobody(db: None) -> None:
    assert "setup_link" in mist("users")


def test_it_gives_a_role(bob: User) -> None:
    assert mist("user_role", "Bob@example.com", "owner") == "bob@example.com is owner now.\n"
    bob.refresh_from_db()
    assert bob.is_owner


def test_it_keeps_the_last_owner(alice: User) -> None:
    with pytest.raises(CommandError, match="last owner"):
        mist("user_role", "alice@example.com", "admin")
    alice.refresh_from_db()
    assert alice.is_owner


def test_it_invites_with_a_link_that_works_once(client: Client, shop: Project) -> None:
    link = mist(
        *("invite", "dora@example.com", "--role", "owner", "--days", "2"),
        *("--project", "shop", "--project-role", "developer"),
    ).strip()
    path = "/" + link.split("/", 3)[3]
    fields = {"name": "Dora", "password": "correct-horse-battery"}
    fields["token"] = path.strip("/").split("/")[1]
    assert client.get(path).status_code == 200
    assert client.post("/join/", fields).status_code == 302
    assert User.objects.get(email="dora@example.com").is_owner
    assert Membership.objects.get().role == "developer"
    assert Client().get(path).status_code == 404


def test_it_mails_the_link_and_does_not_print_it(db: None, settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://mail.example.com"
    said = mist("invite", "dora@example.com")
    assert "/join/" not in said and "/join/" in str(mail.outbox[0].body)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["user_role", "nobody@example.com", "admin"], "no user nobody@example.com"),
        (["invite", "nonsense"], "valid email"),
        (["invite", "alice@example.com"], "an account already"),
        (["invite", "dora@example.com", "--days", "0"], "1 to 365 days"),
        (["invite", "dora@example.com", "--project", "none"], "no project none"),
    ],
)
def test_it_says_what_is_wrong(alice: User, words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        mist(*words)
    assert not Invitation.objects.exists()
