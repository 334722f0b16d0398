"""Making a token: shown once, kept nowhere, and never wider than asked for."""

from __future__ import annotations

import datetime as dt
import logging
import pickle
import re
import sqlite3
from typing import Any, cast

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from apps.accounts.models import InstanceRole, User
from apps.api.forms import TOKENS_MAX
from apps.api.models import ApiToken
from apps.api.secrets import digest_of, new_secret
from apps.api.services import token_create, token_revoke
from apps.audit.models import AuditEvent
from apps.projects.models import Membership, Project, ProjectRole

SECRET = re.compile(r"mist_[A-Za-z0-9_-]{43}")


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def make(client: Client, **given: Any) -> HttpResponse:
    answer: Any = client.post("/account/tokens/", {"name": "CI", "expires": "90", **given})
    return cast(HttpResponse, answer)


def secrets_in(answer: HttpResponse) -> set[str]:
    return set(SECRET.findall(answer.content.decode()))


def test_it_shows_the_secret_once_and_keeps_it_nowhere(
    inside: Client, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = make(inside, scopes=["deploy"])
    [secret] = secrets_in(answer)
    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"]
    token = ApiToken.objects.get()
    assert (token.user, token.digest, token.prefix) == (alice, digest_of(secret), secret[:11])
    hidden = secret[12:]
    for path in ("/account/tokens/", "/tokens/", "/account/", "/admin/api/apitoken/",
                 f"/admin/api/apitoken/{token.pk}/change/", "/admin/audit/auditevent/"):  # fmt: skip
        page = inside.get(path)
        assert page.status_code == 200
        assert hidden not in page.content.decode() and token.digest not in page.content.decode()
    assert hidden not in caplog.text + repr(token) + str(token)
    assert hidden not in "".join(str(m) for m in inside.cookies.values())
    assert all(hidden not in str(s.get_decoded()) for s in Session.objects.all())
    if connection.vendor == "sqlite":
        database = connection.connection
        assert isinstance(database, sqlite3.Connection)
        assert hidden not in "\n".join(database.iterdump())


def test_what_makes_it_hides_the_secret_too(alice: User) -> None:
    made = token_create(user=alice, name="CI", scopes=())
    assert made.secret not in repr(made)
    assert made.secret.encode() not in pickle.dumps(made.token)


def test_a_secret_has_256_random_bits() -> None:
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200 and all(SECRET.fullmatch(secret) for secret in made)
    # 43 characters of 6 bits hold 32 bytes; the last one has only the 4 bits that are left.
    assert len({secret[:-1][-8:] for secret in made}) == 200


def test_it_lasts_90_days_unless_something_else_is_chosen(inside: Client) -> None:
    text = inside.get("/account/tokens/").content.decode()
    assert re.search(r'<option value="90" selected>', text)
    for chosen, days in (("7", 7), ("90", 90), ("365", 365), ("never", None)):
        make(inside, expires=chosen)
        token = ApiToken.objects.latest("pk")
        if days is None:
            assert token.expires_at is None
        else:
            assert token.expires_at is not None
            left = token.expires_at - timezone.now()
            assert dt.timedelta(days=days, minutes=-5) < left <= dt.timedelta(days=days)


def test_it_reads_whatever_else_it_may(inside: Client) -> None:
    make(inside)
    make(inside, scopes=["admin", "deploy"])
    assert list(ApiToken.objects.order_by("pk").values_list("scopes", flat=True)) == [
        ["read"],
        ["read", "deploy", "admin"],
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": ""}, "Say what it is for"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "CI\x1b[31m"}, "no control characters"),
        ({"scopes": ["everything"]}, "There is no scope of that name"),
        ({"expires": "9999"}, "Choose one of the list"),
        ({"project": "nothing"}, "There is no such project"),
    ],
)
def test_it_says_what_is_wrong_and_makes_nothing(
    inside: Client, given: dict[str, Any], words: str
) -> None:
    answer = make(inside, **given)
    assert words in answer.content.decode()
    assert not ApiToken.objects.exists() and not secrets_in(answer)


def test_it_offers_only_projects_that_the_person_sees(
    client: Client, shop: Project, alice: User
) -> None:
    Project.objects.create(slug="unseen")
    bob = User.objects.create_user("bob@example.com", name="Bob", role=InstanceRole.MEMBER)
    Membership.objects.create(project=shop, user=bob, role=ProjectRole.VIEWER)
    client.force_login(bob)
    text = client.get("/account/tokens/").content.decode()
    assert '<option value="shop">' in text and "unseen" not in text
    assert "There is no such project" in make(client, project="unseen").content.decode()
    make(client, project="shop")
    assert ApiToken.objects.get().project == shop


def test_one_person_has_a_bounded_number_that_work(inside: Client, alice: User) -> None:
    for _ in range(TOKENS_MAX):
        last = token_create(user=alice, name="CI", scopes=())
    assert "Revoke one of them first" in make(inside).content.decode()
    token_revoke(token=last.token, by=alice)
    assert secrets_in(make(inside))


def test_it_goes_with_its_project_and_does_not_see_all_then(alice: User, shop: Project) -> None:
    token_create(user=alice, name="CI", scopes=(), project=shop)
    shop.delete()
    assert not ApiToken.objects.exists()


def test_it_is_audited_without_the_secret(inside: Client, shop: Project) -> None:
    [secret] = secrets_in(make(inside, scopes=["deploy"], project="shop"))
    event = AuditEvent.objects.get(action="token.create")
    assert (event.actor_name, event.project_name) == ("Alice Archer", "shop")
    assert event.after["scopes"] == ["read", "deploy"]
    assert secret[12:] not in f"{event.thing_name}{event.after}{event.before}"
