"""A fresh Mist is claimed once, by who holds the link."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.system.services import administrator_create, setup_claim, setup_token

ANSWERS = {
    "name": "Alice Archer",
    "email": "Alice@Example.com",
    "password": "correct-horse-battery",
}


def test_it_makes_the_first_administrator_and_logs_them_in(
    client: Client, db: None, data_dir: Path
) -> None:
    answer = client.post(f"/setup/{setup_token()}/", ANSWERS)
    assert answer["Location"] == "/"
    user = User.objects.get()
    assert (user.email, user.is_superuser) == ("alice@example.com", True)
    assert client.get("/").status_code == 200


def test_it_cannot_be_claimed_a_second_time(client: Client, db: None, data_dir: Path) -> None:
    link = f"/setup/{setup_token()}/"
    client.post(link, ANSWERS)
    again = Client().post(link, {**ANSWERS, "email": "mallory@example.com"})
    assert again.status_code == 404
    assert "already" in again.content.decode()
    assert User.objects.count() == 1
    assert not (data_dir / "setup-token").exists()
    assert setup_token() is None


@pytest.mark.parametrize("token", ["wrong", "", "x" * 500, "тест"])
def test_it_refuses_a_wrong_token_and_says_how_to_get_the_right_one(
    client: Client, db: None, data_dir: Path, token: str
) -> None:
    setup_token()
    answer = client.post(f"/setup/{token or '%20'}/", ANSWERS)
    assert answer.status_code == 404
    assert "./mist setup_link" in answer.content.decode()
    assert not User.objects.exists()


def test_it_keeps_the_token_from_other_users_of_the_machine(db: None, data_dir: Path) -> None:
    token = setup_token()
    file = data_dir / "setup-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert setup_token() == token == file.read_text().strip()


def test_it_ends_with_an_administrator_made_on_the_command_line(db: None, data_dir: Path) -> None:
    token = setup_token() or ""
    administrator_create(email="alice@example.com", name="Alice", password="correct-horse-battery")
    assert setup_claim(token=token, email="m@example.com", name="M", password="whatever") is None


def test_it_shows_what_is_wrong_and_keeps_what_was_typed(
    client: Client, db: None, data_dir: Path
) -> None:
    page = client.post(f"/setup/{setup_token()}/", {**ANSWERS, "password": "short"})
    text = page.content.decode()
    assert "at least 12 characters" in text
    assert 'value="Alice Archer"' in text
    assert "short" not in text.replace("too short", "")
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_lets_one_of_two_people_win(data_dir: Path) -> None:
    token = setup_token() or ""
    made: list[User | None] = []

    def claim(email: str) -> None:
        made.append(setup_claim(token=token, email=email, name="A", password="whatever-it-is"))
        connection.close()

    threads = [threading.Thread(target=claim, args=(f"{n}@example.com",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([user for user in made if user]) == User.objects.count() == 1
