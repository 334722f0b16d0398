"""How often one may guess, and who has to wait for whom."""

from __future__ import annotations

import datetime as dt
import threading
from urllib.parse import urlsplit

import pytest
import time_machine
from django.db import connection
from django.test import Client

from apps.accounts import limits
from apps.accounts.invitation_services import invitation_create
from apps.accounts.models import Allowance, InstanceRole, User
from apps.audit.models import AuditEvent
from tests.conftest import PASSWORD

NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
HERE, THERE = "203.0.113.9", "198.51.100.7"


def guess(
    client: Client,
    address: str = THERE,
    *,
    email: str = "alice@example.com",
    password: str = "wrong",
) -> int:
    given = {"email": email, "password": password}
    return client.post("/login/", given, REMOTE_ADDR=address).status_code


def use_up(address: str, *, email: str = "alice@example.com") -> None:
    """Guess until one has to wait."""
    for _ in range(60):
        if guess(Client(), address, email=email) == 429:
            return
    raise AssertionError("Nobody had to wait.")


def test_who_guesses_has_to_wait_and_is_told_how_long(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        assert [guess(client) for _ in range(6)] == [200] * 5 + [429]
        answer = client.post(
            "/login/", {"email": alice.email, "password": PASSWORD}, REMOTE_ADDR=THERE
        )
        assert answer.status_code == 429
        assert answer["Retry-After"] == "60"
        assert "Wait 1\N{NO-BREAK SPACE}min" in answer.content.decode()
        time.shift(60)
        assert guess(client, password=PASSWORD) == 302


def test_what_was_used_is_kept_in_the_database(client: Client, alice: User) -> None:
    use_up(THERE)
    assert Allowance.objects.filter(full_at__gt=dt.datetime.now(dt.UTC)).count() == 3
    assert "alice" not in " ".join(Allowance.objects.values_list("key", flat=True))


def test_an_unknown_account_makes_one_wait_just_as_long(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False):
        known = [guess(client, THERE) for _ in range(7)]
        unknown = [guess(client, THERE, email="nobody@example.com") for _ in range(7)]
    assert known == unknown


def test_nobody_at_another_address_locks_a_person_out(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        use_up(THERE)
        assert guess(Client(), HERE, password=PASSWORD) == 302
        # Not even who goes on for hours.
        for _ in range(60):
            time.shift(60)
            guess(Client(), THERE)
        assert guess(Client(), HERE, password=PASSWORD) == 302


def test_a_known_browser_does_not_wait_for_strangers(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False):
        assert guess(client, HERE, password=PASSWORD) == 302
        client.post("/logout/")
        for last in range(20):
            use_up(f"198.51.100.{last}")
        assert guess(Client(), HERE, password=PASSWORD) == 429
        assert guess(client, HERE, password=PASSWORD) == 302


def test_a_known_browser_has_no_endless_guesses(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False):
        guess(client, password=PASSWORD)
        client.post("/logout/")
        assert [guess(client) for _ in range(11)] == [200] * 10 + [429]


def test_a_browser_is_known_only_to_the_account_that_it_logged_in_to(
    client: Client, alice: User
) -> None:
    User.objects.create_user("bob@example.com", PASSWORD, name="Bob")
    with time_machine.travel(NOW, tick=False):
        guess(client, password=PASSWORD)
        client.post("/logout/")
        assert [guess(client, email="bob@example.com") for _ in range(6)] == [200] * 5 + [429]


def test_a_made_up_cookie_is_no_known_browser(client: Client, alice: User) -> None:
    client.cookies[limits.DEVICE_COOKIE] = "eyJhIjoiYiJ9:1abcde:made-up"
    with time_machine.travel(NOW, tick=False):
        assert [guess(client) for _ in range(6)] == [200] * 5 + [429]


def test_one_address_tries_only_so_many_accounts(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False):
        answers = [guess(Client(), email=f"person{n}@example.com") for n in range(31)]
    assert answers == [200] * 30 + [429]


def test_the_neighbours_in_one_network_of_ipv6_are_one(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False):
        answers = [guess(Client(), f"2001:db8::{n}") for n in range(1, 7)]
        assert answers == [200] * 5 + [429]
        assert guess(Client(), "2001:db8:0:1::1") == 200


def test_a_right_password_costs_nothing(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False):
        assert {guess(Client(), password=PASSWORD) for _ in range(40)} == {302}


def test_rows_of_who_may_try_everything_again_go(client: Client, alice: User) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        use_up(THERE)
        time.shift(3_600)
        guess(Client(), HERE, email="bob@example.com")
        assert Allowance.objects.count() == 3


@pytest.mark.parametrize(
    ("path", "given"),
    [("/join/made-up/", None), ("/join/", {"token": "x"}), ("/password/MQ/set/", None)],
)
def test_links_are_not_guessed_from_one_address(
    client: Client, alice: User, path: str, given: dict[str, str] | None
) -> None:
    link = invitation_create(email="bob@example.com", role=InstanceRole.MEMBER, by=alice).link
    with time_machine.travel(NOW, tick=False):
        for _ in range(30):
            answer = client.get(path) if given is None else client.post(path, given)
            assert answer.status_code == 404
        # Then not even a right one is looked at.
        assert client.get(path if "password" in path else urlsplit(link).path).status_code == 429
        elsewhere = client.get(urlsplit(link).path, REMOTE_ADDR=HERE)
        assert elsewhere.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_are_all_counted() -> None:
    subjects = [(limits.Rule("a", 5, 3_600), "x"), (limits.Rule("b", 9, 3_600), "x")]
    waits: list[int] = []

    def try_some() -> None:
        waits.extend(limits.take(*subjects) for _ in range(4))
        connection.close()

    threads = [threading.Thread(target=try_some) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(waits), waits.count(0)) == (24, 5)


@pytest.mark.parametrize(("back", "answer"), [(400 * 86_400, 302), (1, 429)])
def test_a_clock_that_was_set_back_locks_nobody_out(alice: User, back: int, answer: int) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        use_up(THERE)
        time.shift(-back)
        assert guess(Client(), password=PASSWORD) == answer


def test_a_failure_is_in_the_audit_trail_with_its_address(client: Client, alice: User) -> None:
    guess(client)
    guess(client, email="my-password-by-mistake")
    second, first = AuditEvent.objects.filter(action="user.login_fail")
    assert (first.thing_id, first.address) == (alice.pk, THERE)
    assert (second.thing_id, second.thing_name) == (None, "An unknown address")


@pytest.mark.parametrize("path", ["/login/", "/reauthenticate/"])
def test_a_password_is_guessed_no_oftener_by_another_way(
    client: Client, alice: User, path: str
) -> None:
    with time_machine.travel(NOW, tick=False):
        client.force_login(alice)
        given = {"form": "password", "current": "wrong", "new": "another-good-password"}
        answers = [client.post("/account/", given, REMOTE_ADDR=THERE).status_code for _ in range(5)]
        assert answers == [200] * 5
        asking = Client() if path == "/login/" else client
        given = {"email": alice.email, "password": "wrong"}
        assert asking.post(path, given, REMOTE_ADDR=THERE).status_code == 429
