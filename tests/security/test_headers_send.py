"""Every answer of Mist, whatever it is, carries the headers that keep a browser safe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from channels.testing import HttpCommunicator
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpResponseBase
from django.test import Client, override_settings
from django.urls import reverse

from apps.engine.fake import FakeEngine
from mist_project.asgi import BODY_MAX, application
from tests.access.table import NOBODY, OWNER, STRANGER
from tests.access.test_every_address import NAMES, World, addresses, world
from tests.system.test_page_show import WithBroken

__all__ = ["world"]
ROOT = Path(__file__).resolve().parents[2]
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "object-src 'none'",
    "frame-ancestors 'none'",
}
EXACT = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def wrong_with(headers: dict[str, str], *, static: bool = False) -> list[str]:
    """What is missing or not as it should be."""
    given = {name.lower(): value for name, value in headers.items()}
    wrong = [name for name, value in EXACT.items() if given.get(name) != value]
    policy = given.get("content-security-policy", "")
    if {part.strip() for part in policy.split(";")} != POLICY:
        wrong.append(f"content-security-policy: {policy}")
    permissions = given.get("permissions-policy", "")
    if "camera=()" not in permissions or "*" in permissions:
        wrong.append(f"permissions-policy: {permissions}")
    caching = given.get("cache-control", "")
    if not static and not {"no-store", "no-cache"} & set(caching.replace(",", " ").split()):
        wrong.append(f"cache-control: {caching}")
    return wrong


def wrong_with_answer(answer: Any, *, static: bool = False) -> list[str]:
    wrong = wrong_with(dict(answer.items()), static=static)
    for name, cookie in answer.cookies.items():
        if name != "mist_theme" and cookie["max-age"] != 0 and not cookie["httponly"]:
            wrong.append(f"cookie {name} is open to scripts")
        if not cookie["samesite"] or cookie["domain"] or cookie["path"] != "/":
            wrong.append(f"cookie {name}: {cookie.OutputString()}")
    return wrong


@pytest.mark.parametrize("name", NAMES)
def test_every_address_answers_with_them_whoever_asks_by_whatever_method(
    name: str, world: World
) -> None:
    [pattern] = [p for p in addresses() if p.name == name]
    path = reverse(name, kwargs={key: world.values[key] for key in pattern.pattern.converters})
    for person in (NOBODY, STRANGER, OWNER):
        for method in ("get", "head", "post", "put", "delete", "options"):
            answer: HttpResponseBase = getattr(world.clients[person], method)(path)
            assert wrong_with_answer(answer) == [], (person, method, path, answer.status_code)


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/admin/accounts/user/1/change/", "/admin/jsi18n/", "/admin/nope/", "/nope/",
     "/projects", "/projects/nope/", "/samples/hello.git/info/refs", "/healthz/"],
)  # fmt: skip
def test_the_admin_redirects_and_what_is_missing_answer_with_them(path: str, world: World) -> None:
    for person in (NOBODY, STRANGER, OWNER):
        assert wrong_with_answer(world.clients[person].get(path)) == [], person


@override_settings(ROOT_URLCONF=WithBroken)
@pytest.mark.parametrize(("path", "status"), [("/broken/", 500), ("/locked/", 503)])
def test_errors_answer_with_them(client: Client, db: None, path: str, status: int) -> None:
    client.raise_request_exception = False
    answer = client.get(path)
    assert (answer.status_code, wrong_with_answer(answer)) == (status, [])


def test_refused_forms_and_names_answer_with_them(alice: object) -> None:
    client = Client(enforce_csrf_checks=True)
    forged = client.post("/login/", {"email": "a"})
    assert (forged.status_code, wrong_with_answer(forged)) == (403, [])
    many = Client().post("/login/", {f"f{n}": "x" for n in range(1_001)})
    assert (many.status_code, wrong_with_answer(many)) == (400, [])
    foreign = client.get("/login/", headers={"host": "evil.example"})
    assert (foreign.status_code, wrong_with_answer(foreign)) == (400, [])


def test_static_files_answer_with_them(db: None, settings: Any, tmp_path: Path) -> None:
    found = finders.find("live.js")
    assert isinstance(found, str)
    settings.STATIC_ROOT = str(Path(found).parent)
    settings.WHITENOISE_AUTOREFRESH = False
    answer = Client().get("/static/live.js")
    assert answer.status_code == 200
    assert wrong_with_answer(answer, static=True) == []

    assert wrong_with_answer(Client().get("/static/nope.js")) == []


async def _ask(method: str, headers: list[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    socket = HttpCommunicator(
        application, method, "/login/", body, [(b"host", b"testserver"), *headers]
    )
    return dict(await socket.get_response(timeout=10))


@pytest.mark.django_db(transaction=True)
async def test_a_body_that_is_too_large_is_answered_with_them(fake: FakeEngine) -> None:
    answer = await _ask("POST", [], b"x" * (BODY_MAX + 1))
    assert answer["status"] == 413
    assert wrong_with({k.decode(): v.decode() for k, v in answer["headers"]}) == []


PROBE = """
import json, os, django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
from apps.accounts.models import User
user = User.objects.create_superuser("alice@example.com", "correct-horse-battery", name="Alice")
client = Client(headers={"host": "mist.example.com"})
https = {"secure": True}
given = {"email": "alice@example.com", "password": "correct-horse-battery"}
said = client.post("/login/", given, **https)
posted = client.post("/account/", {"form": "name", "name": "Alice B"}, **https)
client.cookies.clear()
form = client.get("/login/", **https)
plain = Client(headers={"host": "mist.example.com"}).get("/login/")
foreign = Client(headers={"host": "evil.example"}).get("/login/")
print(json.dumps({
    "cookies": [m.OutputString() for a in (said, posted, form) for m in a.cookies.values()],
    "secure": dict(form.items()), "plain": [plain.status_code, dict(plain.items())],
    "foreign": [foreign.status_code, dict(foreign.items())],
}))
"""


@pytest.fixture(scope="module")
def over_https(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a Mist says whose only setting is an https:// address."""
    env = {
        "PATH": "/usr/bin:/bin",
        "MIST_DATA_DIR": str(tmp_path_factory.mktemp("https")),
        "MIST_ENGINE": "apps.engine.fake",
        "MIST_URL": "https://mist.example.com",
        "DJANGO_SETTINGS_MODULE": "mist_project.settings",
    }
    words = [sys.executable, "-W", "ignore", "-c", PROBE]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_over_https_cookies_belong_to_this_very_host(over_https: dict[str, Any]) -> None:
    cookies = [c for c in over_https["cookies"] if "Max-Age=0" not in c]
    assert {c.partition("=")[0] for c in cookies} == {
        "__Host-mist_session",
        "__Host-mist_csrf",
        "__Host-mist_messages",
        "__Host-mist_device",
    }
    for cookie in cookies:
        words = set(cookie.split("; "))
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= words, cookie
        assert "domain" not in cookie.lower()


def test_over_https_browsers_are_told_to_stay_there(over_https: dict[str, Any]) -> None:
    told = over_https["secure"]["Strict-Transport-Security"]
    assert told == "max-age=2592000; includeSubDomains; preload"
    status, headers = over_https["plain"]
    assert (status, headers["Location"]) == (301, "https://mist.example.com/login/")
    assert wrong_with(over_https["secure"]) == wrong_with(headers) == []


def test_over_https_a_foreign_name_is_refused_and_not_redirected_to(
    over_https: dict[str, Any],
) -> None:
    status, headers = over_https["foreign"]
    assert status == 400 and "Location" not in headers


def test_a_normal_https_mist_passes_djangos_strict_check(tmp_path: Path) -> None:
    env = {
        "PATH": "/usr/bin:/bin",
        "MIST_DATA_DIR": str(tmp_path),
        "MIST_URL": "https://mist.example.com",
    }
    words = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout
    assert not settings.SILENCED_SYSTEM_CHECKS


def test_apps_below_the_dashboards_own_name_are_not_forced_to_https(tmp_path: Path) -> None:
    code = "from mist_project import settings as s; print(s.SECURE_HSTS_INCLUDE_SUBDOMAINS)"
    for base, expected in (("example.com", "False"), ("apps.example.com", "False"),
                           ("example.org", "True"), ("badexample.com", "True")):  # fmt: skip
        env = {"PATH": "/usr/bin:/bin", "MIST_DATA_DIR": str(tmp_path), "MIST_BASE_DOMAIN": base}
        env |= {"MIST_URL": "https://example.com"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, (base, done.stderr)
