"""Passwords: how they are stored, how many are worked on at once, and for whom the work is done."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, get_hasher
from django.test import Client
from pytest_django import Settings

from apps.accounts import hashers
from apps.accounts.hashers import LightArgon2PasswordHasher
from apps.accounts.models import User
from mist_project import settings as real
from tests.conftest import PASSWORD


class CountingHasher(MD5PasswordHasher):
    """Notes each password that it hashes."""

    seen: list[str] = []

    def encode(self, password: str, salt: str) -> str:
        self.seen.append(password)
        return super().encode(password, salt)


def test_they_are_stored_as_argon2id(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = real.PASSWORD_HASHERS
    stored = get_hasher("default").encode(PASSWORD, "a-salt-of-some-length")
    assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert get_hasher("default").verify(PASSWORD, stored)
    assert not get_hasher("default").verify("wrong", stored)


@pytest.mark.parametrize("work", ["encode", "verify"])
def test_only_so_many_are_worked_on_at_once(work: str) -> None:
    hasher = LightArgon2PasswordHasher()
    stored = hasher.encode(PASSWORD, "a-salt-of-some-length")
    other = "a-salt-of-some-length" if work == "encode" else stored
    done = threading.Event()

    def hash_one() -> None:
        getattr(hasher, work)(PASSWORD, other)
        done.set()

    for _ in range(hashers.AT_ONCE):
        assert hashers._turns.acquire(timeout=10)
    try:
        thread = threading.Thread(target=hash_one)
        thread.start()
        assert not done.wait(0.5)
    finally:
        for _ in range(hashers.AT_ONCE):
            hashers._turns.release()
    assert done.wait(30)
    thread.join()


def test_the_same_work_is_done_for_everybody_who_is_not_let_in(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = ["tests.accounts.test_password_hash.CountingHasher"]
    User.objects.create_user("gone@example.com", PASSWORD, name="Gone", is_active=False)
    work, pages = [], []
    for email, password in (
        ("alice@example.com", "wrong-password"),
        ("nobody@example.com", "wrong-password"),
        ("gone@example.com", "wrong-password"),
        ("gone@example.com", PASSWORD),
    ):
        CountingHasher.seen.clear()
        answer = client.post("/login/", {"email": email, "password": password})
        assert answer.status_code == 200
        work.append(len(CountingHasher.seen))
        page = answer.content.decode().replace(email, "")
        pages.append(page.split("csrfmiddlewaretoken")[0] + page.split("</h2>")[1].split("<")[0])
    assert work == [1, 1, 1, 1]
    assert len(set(pages)) == 1
