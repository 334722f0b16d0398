"""Logging in and out, and changing one's password."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.conftest import PASSWORD


def log_in(client: Client, **given: str) -> str:
    answer = client.post("/login/", {"email": "alice@example.com", "password": PASSWORD, **given})
    return answer["Location"] if answer.status_code == 302 else answer.content.decode()


def test_it_logs_in_whatever_the_case_of_the_address(client: Client, alice: User) -> None:
    assert log_in(client, email=" Alice@EXAMPLE.com") == "/"
    assert client.get("/account/").status_code == 200


def test_it_says_the_same_for_an_unknown_address_and_a_wrong_password(
    client: Client, alice: User
) -> None:
    for given in ({"email": "nobody@example.com"}, {"password": "wrong"}):
        text = log_in(client, **given)
        assert "Email and password do not match" in text
        assert "wrong" not in text.lower().split("<main")[1]


def test_it_refuses_who_was_deactivated(client: Client, alice: User) -> None:
    User.objects.update(is_active=False)
    assert "do not match" in log_in(client)


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:"],
)
def test_it_never_leads_to_another_site(client: Client, alice: User, elsewhere: str) -> None:
    assert log_in(client, next=elsewhere) == "/"
    assert client.get("/login/", {"next": elsewhere})["Location"] == "/"


def test_it_leads_back_to_the_page_that_was_asked_for(client: Client, alice: User) -> None:
    asked = client.get("/projects/?page=2")["Location"]
    assert asked == "/login/?next=/projects/%3Fpage%3D2"
    assert 'value="/projects/?page=2"' in client.get(asked).content.decode()
    assert log_in(client, next="/projects/?page=2") == "/projects/?page=2"


def test_it_logs_out(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/account/").status_code == 302


def test_it_says_where_the_set_up_link_is_before_anyone_exists(client: Client, db: None) -> None:
    assert "./mist setup_link" in client.get("/login/").content.decode()


def test_it_does_not_mention_set_up_later(client: Client, alice: User) -> None:
    assert "setup_link" not in client.get("/login/").content.decode()


def test_it_changes_the_password_and_ends_other_sessions(client: Client, alice: User) -> None:
    other = Client()
    other.force_login(alice)
    client.force_login(alice)
    given = {"form": "password", "current": PASSWORD, "new": "another-good-password"}
    assert client.post("/account/", given)["Location"] == "/account/"
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302
    assert log_in(Client(), password="another-good-password") == "/"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"current": "wrong", "new": "another-good-password"}, "not your current password"),
        ({"current": PASSWORD, "new": "short"}, "at least 12 characters"),
        ({"current": PASSWORD, "new": "alice@example.com"}, "too similar"),
        ({"current": PASSWORD, "new": ""}, "Type the new password."),
    ],
)
def test_it_says_why_a_password_was_not_changed(
    client: Client, alice: User, given: dict[str, str], sentence: str
) -> None:
    client.force_login(alice)
    text = client.post("/account/", {"form": "password", **given}).content.decode()
    assert sentence in text
    assert PASSWORD not in text
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_it_changes_the_name(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post("/account/", {"form": "name", "name": "Alice <b>Baker"})
    text = client.get("/account/").content.decode()
    assert "Alice &lt;b&gt;Baker" in text
