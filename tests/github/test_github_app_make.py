"""Making a GitHub App from the dashboard: to GitHub with a manifest, and back once."""

from __future__ import annotations

import html
import json
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import InstanceRole, User
from apps.audit.models import AuditEvent
from apps.sources.models import GitHubApp, ManifestRequest
from tests.conftest import PASSWORD
from tests.github.api import GitHubHost, Said, app_pem, new_app

NEW, MADE, HERE = "/settings/github/new/", "/settings/github/made/", "/settings/github/"


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def begin(client: Client, server: str, **typed: Any) -> tuple[str, dict[str, Any], str]:
    """(where the browser sends it, the manifest, its state)"""
    answer = client.post(NEW, {"name": "Mist of Halden", "server": server, **typed})
    page = answer.content.decode()
    assert answer.status_code == 200, page
    where = html.unescape(re.findall(r'<form[^>]*action="([^"]*apps/new[^"]*)"', page)[0])
    manifest = json.loads(html.unescape(re.findall(r'name="manifest" value="([^"]*)"', page)[0]))
    return where, manifest, parse_qs(urlsplit(where).query)["state"][0]


def github_makes(host: GitHubHost, code: str = "c0de", **more: Any) -> dict[str, str]:
    host.codes[code] = new_app("Mist of Halden", **more)
    return {"code": code}


def words(client: Client, **query: str) -> str:
    answer = client.get(MADE, query, follow=True)
    assert answer.redirect_chain == [(HERE, 302)]
    return html.unescape(answer.content.decode())


def test_an_app_is_made_and_its_secrets_are_kept_encrypted(
    inside: Client, near: GitHubHost, alice: User
) -> None:
    where, manifest, state = begin(inside, near.url, account="halden")
    assert where.startswith(f"{near.url}/organizations/halden/settings/apps/new?")
    page = words(inside, state=state, **github_makes(near))
    assert "Mist of Halden was made" in page
    made = GitHubApp.objects.get()
    assert (made.app_id, made.slug, made.created_by) == (4711, "mist-of-halden", alice)
    assert (made.html_url, made.api_url) == (near.url, near.api_url)
    assert made.private_key == app_pem() and made.webhook_secret == "s3cret-of-the-webhook"
    assert manifest["hook_attributes"]["url"].endswith(f"/hooks/github-app/{made.public_id}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM sources_githubapp")
        kept = str(cursor.fetchall())
    assert "s3cret" not in kept and "PRIVATE KEY" not in kept
    assert "s3cret" not in page and "PRIVATE KEY" not in page
    trail = str(list(AuditEvent.objects.values_list("action", "before", "after", "thing_name")))
    assert "github_app.create" in trail and "s3cret" not in trail and "PRIVATE" not in trail


def test_it_asks_for_as_little_as_it_needs(inside: Client, near: GitHubHost) -> None:
    _, manifest, _ = begin(inside, near.url)
    assert manifest == {
        "name": "Mist of Halden",
        "url": "https://mist.example.com",
        "redirect_url": f"https://mist.example.com{MADE}",
        "setup_url": manifest["setup_url"],
        "setup_on_update": True,
        "public": False,
        "hook_attributes": manifest["hook_attributes"],
        "default_permissions": {
            "contents": "read",
            "metadata": "read",
            "deployments": "write",
            "statuses": "write",
        },
        "default_events": ["push"],
    }
    assert manifest["setup_url"].startswith("https://mist.example.com/settings/github/installed/")


def test_only_that_page_may_send_a_form_to_github_and_there_only(
    inside: Client, near: GitHubHost
) -> None:
    answer = inside.post(NEW, {"name": "Mist", "server": near.url})
    policy = answer["Content-Security-Policy"]
    assert f"form-action 'self' {near.url};" in f"{policy};"
    for other in (inside.get(NEW), inside.get(HERE), inside.get("/")):
        assert "form-action 'self';" in f"{other['Content-Security-Policy']};"
    usual = inside.post(NEW, {"name": "Mist", "account": "halden"})
    assert "form-action 'self' https://github.com;" in f"{usual['Content-Security-Policy']};"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080"])
def test_a_mist_that_github_cannot_reach_says_so_and_asks_for_no_webhook(
    inside: Client, near: GitHubHost, settings: Settings, url: str
) -> None:
    settings.MIST_URL = url
    _, manifest, state = begin(inside, near.url)
    assert "hook_attributes" not in manifest and "default_events" not in manifest
    page = inside.post(NEW, {"name": "Mist", "server": near.url}).content.decode()
    assert "GitHub cannot reach this Mist" in page and "deploy them by hand" in page
    page = words(inside, state=state, **github_makes(near, webhook_secret=None))
    assert "GitHub does not tell this Mist of pushes" in page


def test_a_private_address_is_heard_by_an_enterprise_server_alone(
    inside: Client, near: GitHubHost, settings: Settings
) -> None:
    settings.MIST_URL = "http://10.0.0.5:8080"
    assert "hook_attributes" in begin(inside, near.url)[1]
    page = inside.post(NEW, {"name": "Mist"}).content.decode()
    assert "GitHub cannot reach this Mist" in page


# ------------------------------------------------------------------------------------- the state


def refused(client: Client, host: GitHubHost, **query: str) -> str:
    host.asked.clear()
    page = words(client, **query)
    assert "No GitHub App was added" in page
    assert host.asked == [] and not GitHubApp.objects.exists()
    return page


@pytest.mark.parametrize("forged", ["", "x", "abc:def:ghi", "{state}x", "x{state}", "{nonce}"])
def test_a_forged_state_is_refused(inside: Client, near: GitHubHost, forged: str) -> None:
    _, _, state = begin(inside, near.url)
    made_up = forged.format(state=state, nonce=state.partition(":")[0])
    page = refused(inside, near, state=made_up, **github_makes(near))
    assert "did not begin here" in page
    assert ManifestRequest.objects.count() == 1


def test_a_state_is_good_once(inside: Client, near: GitHubHost) -> None:
    _, _, state = begin(inside, near.url)
    words(inside, state=state, **github_makes(near))
    GitHubApp.objects.all().delete()
    assert "used already" in refused(inside, near, state=state, **github_makes(near, "again"))


def test_a_state_is_used_up_also_when_github_knows_no_such_code(
    inside: Client, near: GitHubHost
) -> None:
    _, _, state = begin(inside, near.url)
    page = words(inside, state=state, code="unknown")
    assert "does not know this" in page and not GitHubApp.objects.exists()
    assert "used already" in refused(inside, near, state=state, **github_makes(near))


def test_a_state_of_more_than_an_hour_ago_is_refused(inside: Client, near: GitHubHost) -> None:
    _, _, state = begin(inside, near.url)
    with time_machine.travel(time.time() + 3700):
        page = refused(inside, near, state=state, **github_makes(near))
    assert "more than an hour ago" in page


def test_a_state_of_another_session_is_refused(
    inside: Client, near: GitHubHost, alice: User
) -> None:
    """Of the same person too: somebody may have been led here with an address of another's."""
    _, _, state = begin(inside, near.url)
    other = Client()
    other.force_login(alice)
    assert "another browser or session" in refused(other, near, state=state, **github_makes(near))


def test_a_state_of_another_person_is_refused(inside: Client, near: GitHubHost) -> None:
    _, _, state = begin(inside, near.url)
    eve = User.objects.create_user("eve@example.com", PASSWORD, role=InstanceRole.ADMIN)
    other = Client()
    other.force_login(eve)
    session = other.session
    session["github_nonces"] = inside.session["github_nonces"]
    session.save()
    assert "used already" in refused(other, near, state=state, **github_makes(near))


def test_github_being_away_is_told_and_nothing_is_made(inside: Client, near: GitHubHost) -> None:
    _, _, state = begin(inside, near.url)
    near.faults += [Said(404, {"message": "Not Found"})]
    page = words(inside, state=state, **github_makes(near))
    assert "Delete the new App on GitHub, then make it again" in page


# ---------------------------------------------------------------------------------------- the form


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "Give the App a name"),
        ({"name": "x" * 35}, "at most 34 characters"),
        ({"account": "a/../b"}, "letters, digits and '-'"),
        ({"server": "http://github.example.com"}, "over https:// only"),
        ({"server": "https://github.example.com/x"}, "the address of its pages alone"),
        ({"server": "https://user:pw@github.example.com"}, "the address of its pages alone"),
        ({"server": "https://x; form-action *"}, "the address of its pages alone"),
    ],
)
def test_what_cannot_be_is_told_beside_its_field(
    inside: Client, near: GitHubHost, typed: dict[str, str], said: str
) -> None:
    page = inside.post(NEW, {"name": "Mist", **typed}).content.decode()
    assert said in html.unescape(page) and 'aria-invalid="true"' in page
    assert not ManifestRequest.objects.exists()


def test_a_server_of_this_machine_is_none_without_the_setting(
    inside: Client, github_host: GitHubHost
) -> None:
    page = inside.post(NEW, {"name": "Mist", "server": github_host.url}).content.decode()
    assert "over https:// only" in html.unescape(page)


def test_deleting_asks_first_and_takes_the_keys_away(inside: Client, github_app: GitHubApp) -> None:
    address = f"/settings/github/{github_app.pk}/delete/"
    page = inside.get(address).content.decode()
    assert "On GitHub it stays until you delete it there" in page
    assert inside.post(address, follow=True).status_code == 200
    assert not GitHubApp.objects.exists()
    assert AuditEvent.objects.filter(action="github_app.delete").count() == 1
