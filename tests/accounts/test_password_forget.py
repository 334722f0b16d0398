"""A forgotten password: a link by mail, where Mist sends any."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import time_machine
from django.core import mail
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tasks import mail_reset_link, send_reset_link
from tests.accounts.factors import is_inside, log_in, with_app

NEW = "another-good-password"


@pytest.fixture(autouse=True)
def mails(settings: Settings) -> None:
    """A Mist that sends mail at once."""
    settings.EMAIL_URL = "smtp://mail.example.com:25"
    settings.MIST_URL = "https://mist.example.com"
    settings.MIST_EMAIL_FROM = "mist@example.com"


@pytest.fixture
def link(alice: User) -> str:
    return new_link()


def new_link() -> str:
    """What the newest mail to alice leads to, on Mist's own name."""
    mail_reset_link("Alice@example.com ")
    found = re.search(r"https://mist\.example\.com(/password/\S+)", str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


def follow(client: Client, link: str) -> str:
    """Where the form is."""
    return client.get(link)["Location"]


def test_who_cannot_be_sent_a_link_now_is_told(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(email: str) -> None:
        raise ConnectionError("Redis is gone")

    monkeypatch.setattr(send_reset_link, "delay", gone)
    for email in (alice.email, "nobody@example.com"):
        answer = client.post("/password/", {"email": email})
        assert answer.status_code == 200 and "cannot send mail" in answer.content.decode()


def test_the_link_sets_a_new_password(client: Client, alice: User) -> None:
    inside = Client()
    inside.force_login(alice)
    link = new_link()
    form = follow(client, link)
    # The proof is in no address that a page is shown at.
    assert form == f"/password/{link.split('/')[2]}/set/"
    assert "New password" in client.get(form).content.decode()
    assert "at least 12" in client.post(form, {"password": "short"}).content.decode()
    assert client.post(form, {"password": NEW})["Location"] == "/login/"
    assert not is_inside(inside) and not is_inside(client)
    assert log_in(Client(), alice, NEW) == "/"


def test_the_link_works_for_an_hour(client: Client, alice: User, link: str) -> None:
    for minutes, status in ((59, 200), (61, 404)):
        with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)):
            assert client.get(follow(client, link)).status_code == status


def test_the_link_works_once(client: Client, alice: User, link: str) -> None:
    client.post(follow(client, link), {"password": NEW})
    other = Client()
    gone = other.get(follow(other, link))
    assert gone.status_code == 404 and "does not work any more" in gone.content.decode()


def test_a_second_factor_is_still_asked_for(client: Client, alice: User, link: str) -> None:
    with_app(alice)
    client.post(follow(client, link), {"password": NEW})
    assert log_in(client, alice, NEW) == "/login/code/"


@pytest.mark.parametrize("uid", ["x", "MQ", "////", "OTk5", "w7w"])
def test_a_made_up_link_leads_nowhere(client: Client, alice: User, uid: str) -> None:
    for path in (f"/password/{uid}/made-up/", f"/password/{uid}/set/"):
        assert client.get(path, follow=True).status_code == 404


def test_the_answer_is_the_same_for_an_unknown_address(client: Client, alice: User) -> None:
    pages = []
    for email in ("alice@example.com", "nobody@example.com"):
        page = client.post("/password/", {"email": email}, HTTP_HOST="127.0.0.1:1").content.decode()
        pages.append(re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page))
    assert pages[0] == pages[1] and "Look into your mail" in pages[0]


def test_a_log_in_ends_the_link(client: Client, alice: User, link: str) -> None:
    log_in(Client(), alice)
    assert client.get(follow(client, link)).status_code == 404


def test_who_may_not_log_in_gets_no_mail(alice: User) -> None:
    User.objects.update(is_active=False)
    mail_reset_link("alice@example.com")
    mail_reset_link("nobody@example.com")
    assert mail.outbox == []


def test_one_address_orders_only_so_much_mail(client: Client, alice: User) -> None:
    answers = [
        client.post("/password/", {"email": f"p{n}@example.com"}).status_code for n in range(6)
    ]
    assert answers == [200] * 5 + [429]


def test_one_mailbox_is_not_filled(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(send_reset_link, "delay", asked.append)
    for n in range(5):
        page = Client(REMOTE_ADDR=f"198.51.100.{n}").post(
            "/password/", {"email": "alice@example.com"}
        )
        assert "Look into your mail" in page.content.decode()
    assert asked == ["alice@example.com"] * 3


def test_a_mist_without_mail_says_what_to_do(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.EMAIL_URL = ""
    page = client.post("/password/", {"email": "alice@example.com"}).content.decode()
    assert "./mist reset_password" in page
    assert "/password/" not in client.get("/login/").content.decode()


def test_a_mail_server_that_fails_is_no_error_of_the_page(
    alice: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    mail_reset_link("alice@example.com")
    assert "The mail server took no mail: ConnectionRefusedError" in caplog.text


def test_who_is_logged_in_may_follow_the_link_too(client: Client, alice: User) -> None:
    client.force_login(alice)
    link = new_link()
    answer = client.post(follow(client, link), {"password": NEW})
    assert answer["Location"] == "/login/" and not is_inside(client)
    assert log_in(client, alice, NEW) == "/"
