"""A second factor: set up, asked for, used once, removed."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import InstanceRole, User
from apps.audit.models import AuditEvent
from tests.accounts.factors import code_of, is_inside, log_in, secret_on, with_app
from tests.conftest import PASSWORD

NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def test_an_app_is_set_up_with_its_first_code(inside: Client, alice: User) -> None:
    page = inside.get("/account/two-factor/app/").content.decode()
    secret = secret_on(page)
    assert 'src="data:image/svg+xml;base64,' in page
    wrong = inside.post("/account/two-factor/app/", {"code": "000000"}).content.decode()
    assert "not right" in wrong and secret_on(wrong) == secret
    done = inside.post("/account/two-factor/app/", {"code": code_of(secret)}).content.decode()
    assert done.count("<li") >= 10 and 'download="mist-recovery-codes.txt"' in done
    assert actions()[-2:] == ["second_factor.add", "recovery_codes.make"]
    assert "10 left" in inside.get("/account/two-factor/").content.decode()


def test_codes_are_shown_only_when_they_are_made(inside: Client, alice: User) -> None:
    _, codes = with_app(alice)
    for path in ("/account/two-factor/", "/account/two-factor/codes/", "/account/"):
        page = inside.get(path).content.decode()
        assert not any(code in page or code[:4] + "&nbsp;" in page for code in codes)


def test_seeds_are_encrypted_at_rest(inside: Client, alice: User) -> None:
    pending = secret_on(inside.get("/account/two-factor/app/").content.decode())
    secret, _ = with_app(alice)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = str(cursor.fetchall())
    assert secret not in stored and stored.count("gAAAA") == 2
    # Nor does the session hold the key that is not confirmed yet.
    assert pending not in str([session.get_decoded() for session in Session.objects.all()])


def test_a_password_alone_does_not_let_in(client: Client, alice: User) -> None:
    secret, _ = with_app(alice)
    assert log_in(client, alice, next="/projects/") == "/login/code/?next=%2Fprojects%2F"
    assert not is_inside(client)
    page = client.get("/login/code/?next=/projects/").content.decode()
    assert 'value="/projects/"' in page
    given = {"code": code_of(secret), "next": "/projects/"}
    assert client.post("/login/code/", given)["Location"] == "/projects/"
    assert is_inside(client)


def test_a_code_counts_once(alice: User) -> None:
    secret, _ = with_app(alice)
    with time_machine.travel(NOW, tick=False) as time:
        code = code_of(secret)
        for expected in (True, False):
            client = Client()
            log_in(client, alice)
            client.post("/login/code/", {"code": code})
            assert is_inside(client) is expected
            time.shift(31)  # Longer than django-allauth remembers, and the code is still in time.


def test_a_recovery_code_counts_once(alice: User) -> None:
    _, codes = with_app(alice)
    for expected in (True, False):
        client = Client()
        log_in(client, alice)
        client.post("/login/code/", {"code": f"{codes[0][:4]} {codes[0][4:]}"})
        assert is_inside(client) is expected
    assert Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes() == codes[1:]
    assert actions().count("recovery_code.use") == 1


def test_codes_are_not_guessed(alice: User) -> None:
    secret, _ = with_app(alice)
    client = Client()
    with time_machine.travel(NOW, tick=False):
        log_in(client, alice)
        answers = [client.post("/login/code/", {"code": f"00000{n}"}) for n in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert client.post("/login/code/", {"code": code_of(secret)}).status_code == 429
    assert not is_inside(client)


@pytest.mark.parametrize("change", ["password", "deactivated", "time"])
def test_half_a_log_in_does_not_wait_for_ever(client: Client, alice: User, change: str) -> None:
    secret, _ = with_app(alice)
    with time_machine.travel(NOW, tick=False) as time:
        log_in(client, alice)
        if change == "time":
            time.shift(601)
        elif change == "password":
            alice.set_password("another-good-password")
            alice.save()
        else:
            User.objects.update(is_active=False)
        answer = client.post("/login/code/", {"code": code_of(secret)})
    assert answer["Location"] == "/login/"
    assert not is_inside(client)


def test_the_session_gets_another_key_at_each_step(client: Client, alice: User) -> None:
    secret, _ = with_app(alice)
    client.post("/login/passkey/options/")
    keys = [client.cookies["mist_session"].value]
    log_in(client, alice)
    keys.append(client.cookies["mist_session"].value)
    client.post("/login/code/", {"code": code_of(secret)})
    keys.append(client.cookies["mist_session"].value)
    assert len(set(keys)) == 3
    assert Session.objects.filter(session_key__in=keys[:2]).count() == 0


def test_removing_the_last_factor_removes_the_codes(inside: Client, alice: User) -> None:
    with_app(alice)
    question = inside.get("/account/two-factor/app/remove/").content.decode()
    assert "password alone is enough" in question
    inside.post("/account/two-factor/app/remove/")
    assert not Authenticator.objects.exists()
    assert actions()[-1] == "second_factor.remove"


def test_new_codes_end_the_old_ones(inside: Client, alice: User) -> None:
    _, codes = with_app(alice)
    page = inside.post("/account/two-factor/codes/").content.decode()
    assert "Your recovery codes" in page
    made = Authenticator.objects.get(type="recovery_codes").wrap().generate_codes()
    assert not set(made) & set(codes)


def test_a_passkey_of_somebody_else_is_not_there(inside: Client, alice: User) -> None:
    bob = User.objects.create_user("bob@example.com", PASSWORD, name="Bob")
    theirs = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "Theirs"})
    for answer in (
        inside.get(f"/account/two-factor/passkeys/{theirs.pk}/remove/"),
        inside.post(f"/account/two-factor/passkeys/{theirs.pk}/remove/"),
    ):
        assert answer.status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize(
    "credential",
    ["", "no json", "null", "[]", "{}", '{"response": 1}', '{"id": "x", "rawId": "eA", "type": "public-key", "response": {"clientDataJSON": "e30", "authenticatorData": "eA", "signature": "eA", "userHandle": "MQ"}}'],
)  # fmt: skip
def test_what_is_no_passkey_lets_nobody_in(client: Client, alice: User, credential: str) -> None:
    client.post("/login/passkey/options/")
    answer = client.post("/login/passkey/", {"credential": credential})
    assert answer["Location"] == "/login/"
    assert not is_inside(client)
    client.force_login(alice)
    client.post("/account/two-factor/passkey/options/")
    given = {"name": "Laptop", "credential": credential}
    assert client.post("/account/two-factor/passkey/", given).status_code == 200
    assert not Authenticator.objects.exists()


# ------------------------------------------------------------------------------ MIST_REQUIRE_2FA


@pytest.mark.parametrize(("rule", "role", "led"), [
    ("admins", InstanceRole.MEMBER, False), ("admins", InstanceRole.ADMIN, True),
    ("admins", InstanceRole.OWNER, True), ("everyone", InstanceRole.MEMBER, True),
    ("", InstanceRole.OWNER, False),
])  # fmt: skip
def test_who_needs_a_factor_sets_it_up_first(
    client: Client, db: None, settings: Settings, rule: str, role: InstanceRole, led: bool
) -> None:
    settings.MIST_REQUIRE_2FA = rule
    dan = User.objects.create_user("dan@example.com", PASSWORD, name="Dan", role=role)
    log_in(client, dan)
    answer = client.get("/")
    assert (answer.status_code == 302) is led
    part = client.get("/", headers={"HX-Request": "true"})
    assert (part.get("HX-Redirect") == "/account/two-factor/") is led
    if not led:
        return
    assert answer["Location"] == "/account/two-factor/"
    assert "Set up a second factor first" in client.get("/account/two-factor/").content.decode()
    assert client.get("/account/").status_code == 302
    secret = secret_on(client.get("/account/two-factor/app/").content.decode())
    client.post("/account/two-factor/app/", {"code": code_of(secret)})
    assert client.get("/").status_code == 200
    assert client.post("/account/two-factor/app/remove/").status_code == 403


def test_a_session_older_than_the_rule_gives_its_factor(
    inside: Client, alice: User, settings: Settings
) -> None:
    secret, _ = with_app(alice)
    settings.MIST_REQUIRE_2FA = "everyone"
    assert inside.get("/")["Location"] == "/reauthenticate/?next=%2F"
    assert inside.get("/account/two-factor/").status_code == 302
    inside.post("/reauthenticate/", {"password": PASSWORD})
    assert inside.get("/").status_code == 302
    answer = inside.post("/reauthenticate/", {"code": code_of(secret), "next": "/"})
    assert answer["Location"] == "/"
    assert inside.get("/").status_code == 200


def test_the_command_takes_factors_away_and_ends_sessions(inside: Client, alice: User) -> None:
    with_app(alice)
    assert is_inside(inside)
    call_command("reset_2fa", "Alice@example.com")
    assert not is_inside(inside)
    assert log_in(Client(), alice) == "/"
    assert "second_factor.reset" in actions()
