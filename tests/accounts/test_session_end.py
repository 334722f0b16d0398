"""Sessions: listed, ended, and how long a password is enough."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.accounts.sessions import device_of
from apps.audit.models import AuditEvent
from apps.projects.models import App, EnvironmentVariable, Project
from apps.projects.services import variables_save
from tests.accounts.factors import code_of, is_inside, log_in, with_app
from tests.conftest import PASSWORD

NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"


def browser(alice: User, agent: str, address: str = "203.0.113.9") -> Client:
    client = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    assert log_in(client, alice) == "/"
    return client


def test_the_account_lists_where_one_is_logged_in(alice: User) -> None:
    here = browser(alice, FIREFOX)
    browser(alice, PHONE, "198.51.100.7")
    User.objects.create_user("bob@example.com", PASSWORD, name="Bob")
    page = here.get("/account/").content.decode()
    sessions = page.split('id="sessions"')[1].split("</section>")[0]
    assert "Firefox on Linux" in sessions and "203.0.113.9" in sessions
    assert "Safari on iPhone" in sessions and "198.51.100.7" in sessions
    assert sessions.count("This one") == 1
    assert "This one" in sessions.split("Firefox on Linux")[1].split("Safari on iPhone")[0]


def test_one_session_is_ended(alice: User) -> None:
    here, there = browser(alice, FIREFOX), browser(alice, PHONE)
    theirs = UserSession.objects.get(user_agent=PHONE)
    assert here.post(f"/account/sessions/{theirs.pk}/end/")["Location"] == "/account/"
    assert is_inside(here) and not is_inside(there)
    assert AuditEvent.objects.filter(action="session.end").get().after == {
        "device": "Safari on iPhone"
    }


def test_all_others_are_ended(alice: User) -> None:
    here, there = browser(alice, FIREFOX), browser(alice, PHONE)
    here.post("/account/sessions/end/")
    assert is_inside(here) and not is_inside(there)
    assert UserSession.objects.count() == 1


def test_nobody_ends_the_session_of_another(client: Client, alice: User) -> None:
    there = browser(alice, FIREFOX)
    bob = User.objects.create_user("bob@example.com", PASSWORD, name="Bob")
    client.force_login(bob)
    theirs = UserSession.objects.get(user=alice)
    assert client.post(f"/account/sessions/{theirs.pk}/end/").status_code == 404
    client.post("/account/sessions/end/")
    assert is_inside(there)


def test_a_new_password_ends_all_others(alice: User) -> None:
    here, there = browser(alice, FIREFOX), browser(alice, PHONE)
    given = {"form": "password", "current": PASSWORD, "new": "another-good-password"}
    here.post("/account/", given)
    assert is_inside(here) and not is_inside(there)
    assert [row.session_key for row in UserSession.objects.all()] == [
        here.cookies["mist_session"].value
    ]
    assert AuditEvent.objects.filter(action="password.change").exists()


def test_the_command_ends_all(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    here = browser(alice, FIREFOX)
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("another-good-password\n"))
    call_command("reset_password", alice.email)
    assert not is_inside(here)
    assert not UserSession.objects.exists()
    assert AuditEvent.objects.filter(action="password.reset").exists()


def test_last_use_is_written_now_and_then_only(alice: User) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        here = browser(alice, FIREFOX)
        time.shift(290)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            here.get("/account/")
        assert not [q for q in queries if q["sql"].startswith(("UPDATE", "INSERT"))]
        time.shift(20)
        here.get("/account/", REMOTE_ADDR="198.51.100.7")
        row = UserSession.objects.get()
        assert (row.last_seen_at, row.ip) == (NOW + dt.timedelta(seconds=310), "198.51.100.7")


def test_cookies_are_kept_from_scripts_and_other_sites(client: Client, alice: User) -> None:
    log_in(client, alice)
    for name in ("mist_session", "mist_device"):
        cookie = client.cookies[name]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", "")


def test_log_in_and_log_out_are_in_the_audit_trail(client: Client, alice: User) -> None:
    log_in(client, alice)
    client.post("/logout/")
    out, into = AuditEvent.objects.all()
    assert (into.action, into.actor_id, into.address) == ("user.login", alice.pk, "127.0.0.1")
    assert (out.action, out.actor_id) == ("user.logout", alice.pk)


@pytest.mark.parametrize(("agent", "device"), [
    (FIREFOX, "Firefox on Linux"), (PHONE, "Safari on iPhone"), ("curl/8.5.0", "curl"), ("", "Unknown device"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", "Chrome on macOS"),
    ("Something (Linux; Android 15)", "A browser on Android"),
])  # fmt: skip
def test_a_device_is_named_as_people_know_it(agent: str, device: str) -> None:
    assert device_of(agent) == device


# ----------------------------------------------------------------------- asked again who one is


@pytest.fixture
def variable(web: App, alice: User) -> EnvironmentVariable:
    variables_save(app=web, values={"KEY": "the-value"}, changed_by=alice)
    return EnvironmentVariable.objects.get()


WEB = "/projects/shop/apps/web"


def test_it_is_enough_for_15_minutes(
    client: Client, alice: User, variable: EnvironmentVariable
) -> None:
    reveal = f"{WEB}/environment/{variable.pk}/reveal/"
    with time_machine.travel(NOW, tick=False) as time:
        client.force_login(alice)
        time.shift(14 * 60)
        assert "the-value" in client.post(reveal).content.decode()
        time.shift(2 * 60)
        here = f"http://testserver{WEB}/environment/?q=1"
        answer = client.post(reveal, headers={"Referer": here})
        back = "%2Fprojects%2Fshop%2Fapps%2Fweb%2Fenvironment%2F%3Fq%3D1"
        assert answer["Location"] == f"/reauthenticate/?next={back}"
        page = client.get(answer["Location"]).content.decode()
        assert "Nothing was done yet" in page and "the-value" not in page
        given = {"password": PASSWORD, "next": f"{WEB}/environment/?q=1"}
        assert client.post("/reauthenticate/", given)["Location"] == f"{WEB}/environment/?q=1"
        assert "the-value" in client.post(reveal).content.decode()


def test_a_part_of_a_page_is_led_there_as_a_whole(
    client: Client, alice: User, variable: EnvironmentVariable
) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        client.force_login(alice)
        time.shift(3_600)
        headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{WEB}/environment/"}
        answer = client.post(f"{WEB}/environment/{variable.pk}/reveal/", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer["HX-Redirect"].startswith("/reauthenticate/?next=%2Fprojects%2Fshop%2F")


@pytest.mark.parametrize(
    "referer",
    ["https://evil.example/x", "http://testserver//evil.example/", "javascript:alert(1)", ""],
)
def test_it_leads_back_to_no_other_site(
    client: Client, alice: User, variable: EnvironmentVariable, referer: str
) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        client.force_login(alice)
        time.shift(3_600)
        answer = client.post(
            f"{WEB}/delete/", {"confirm": "shop/web"}, headers={"Referer": referer}
        )
        given = {
            "password": PASSWORD,
            "next": answer["Location"].partition("?next=")[2].replace("%2F", "/"),
        }
        assert client.post("/reauthenticate/", given)["Location"] == "/"


def test_a_question_is_asked_after(client: Client, alice: User, shop: Project) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        client.force_login(alice)
        time.shift(3_600)
        answer = client.get("/projects/shop/delete/")
        assert answer["Location"] == "/reauthenticate/?next=%2Fprojects%2Fshop%2Fdelete%2F"
        change = f"/admin/projects/project/{shop.pk}/change/"
        assert client.post(change)["Location"].startswith("/reauthenticate/")
        assert client.get(change).status_code == 200


@pytest.mark.parametrize(
    "given", [{"password": "wrong"}, {"code": "000000"}, {"credential": "{}"}, {}]
)
def test_what_is_wrong_confirms_nothing(
    client: Client, alice: User, shop: Project, given: dict[str, str]
) -> None:
    with time_machine.travel(NOW, tick=False) as time:
        client.force_login(alice)
        time.shift(3_600)
        assert client.post("/reauthenticate/", given).status_code == 200
        assert client.get("/projects/shop/delete/").status_code == 302


def test_a_second_factor_confirms_too(client: Client, alice: User, shop: Project) -> None:
    secret, _ = with_app(alice)
    with time_machine.travel(NOW, tick=False) as time:
        client.force_login(alice)
        time.shift(3_600)
        client.post("/reauthenticate/", {"code": code_of(secret)})
        assert client.get("/projects/shop/delete/").status_code == 200
