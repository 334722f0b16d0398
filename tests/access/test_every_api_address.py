"""Every address of the API, by every method, with every kind of token: which may, may, and no other.

The table says it a second time, apart from the views. An address that is missing here fails.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.api.models import Scope
from apps.api.services import token_create, token_revoke
from apps.deployments.models import Deployment
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from tests.access.people import person_who_is
from tests.access.test_every_address import addresses as page_addresses
from tests.deployments.test_deployment_run import deploy

STRANGER, VIEWER, DEVELOPER, MANAGER, ADMIN, OWNER, GONE = PEOPLE = (
    "stranger", "viewer", "developer", "project admin", "admin", "owner", "deactivated",
)  # fmt: skip
NOBODY, ANYBODY = "nobody", "anybody with a token"

# Address and method → scope that the token needs, and who its person has to be at least.
TABLE = {
    ("openapi", "get"): (None, NOBODY),
    ("token", "get"): ("read", ANYBODY),
    ("app_list", "get"): ("read", ANYBODY),
    ("app", "get"): ("read", VIEWER),
    ("app", "patch"): ("write", DEVELOPER),
    ("app", "delete"): ("admin", MANAGER),
    ("app_deploy", "post"): ("deploy", DEVELOPER),
    ("app_restart", "post"): ("deploy", DEVELOPER),
    ("deployment_list", "get"): ("read", VIEWER),
    ("deployment", "get"): ("read", VIEWER),
    ("deployment_cancel", "post"): ("deploy", DEVELOPER),
    ("deployment_rollback", "post"): ("deploy", DEVELOPER),
}
ALLOWED = {
    ANYBODY: set(PEOPLE) - {GONE},
    VIEWER: {VIEWER, DEVELOPER, MANAGER, ADMIN, OWNER},
    DEVELOPER: {DEVELOPER, MANAGER, ADMIN, OWNER},
    MANAGER: {MANAGER, ADMIN, OWNER},
}
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def api_addresses() -> list[URLPattern]:
    [resolver] = [
        found
        for found in get_resolver().url_patterns
        if isinstance(found, URLResolver) and found.app_name == "api"
    ]
    assert all(isinstance(pattern, URLPattern) for pattern in resolver.url_patterns)
    return [pattern for pattern in resolver.url_patterns if isinstance(pattern, URLPattern)]


NAMES = sorted(str(pattern.name) for pattern in api_addresses())


@dataclass(frozen=True)
class Held:
    """A token and what is known of it."""

    header: str | None
    person: str = OWNER
    scopes: tuple[str, ...] = ()
    works: bool = True
    elsewhere: bool = False
    """Whether it is bound to another project than that of the address."""

    def __str__(self) -> str:
        where = ", elsewhere" if self.elsewhere else ""
        return f"{self.person} {self.scopes}{where}{'' if self.works else ', dead'}"


@pytest.fixture
def tokens(fake: FakeEngine, web: App, settings: Settings) -> list[Held]:
    settings.MIST_API_REQUESTS_PER_MINUTE = 100_000
    assert deploy(web).number == 1
    other = project_create(slug="other", created_by=None)
    everything = [scope.value for scope in Scope]
    people = {person: person_who_is(person, web) for person in PEOPLE}
    held = [
        Held(_bearer(people[person], [scope]), person, ("read", scope), works=person != GONE)
        for person in PEOPLE
        for scope in everything
    ]
    owner, soon = people[OWNER], timezone.now() + dt.timedelta(hours=1)
    held += [
        Held(_bearer(owner, everything, project), OWNER, tuple(everything), elsewhere=elsewhere)
        for project, elsewhere in ((web.project, False), (other, True))
    ]
    held.append(Held(_bearer(owner, everything, expires_at=soon), OWNER, tuple(everything)))
    past = timezone.now() - dt.timedelta(seconds=1)
    revoked = token_create(user=owner, name="gone", scopes=everything)
    token_revoke(token=revoked.token, by=None)
    dead = [
        None,
        "",
        "Bearer",
        "Bearer mist_" + "x" * 43,
        "Basic YWxpY2VAZXhhbXBsZS5jb206Y29ycmVjdC1ob3JzZQ==",
        _bearer(owner, everything, expires_at=past),
        f"Bearer {revoked.secret}",
    ]
    User.objects.filter(email="deactivated@example.com").update(is_active=False)
    return held + [Held(header, works=False) for header in dead]


def _bearer(
    user: User,
    scopes: list[str],
    project: Project | None = None,
    expires_at: dt.datetime | None = None,
) -> str:
    made = token_create(
        user=user, name="test", scopes=scopes, project=project, expires_at=expires_at
    )
    return f"Bearer {made.secret}"


def ask(client: Client, method: str, path: str, header: str | None) -> HttpResponse:
    """The answer; whatever it changed is undone."""
    headers = {} if header is None else {"Authorization": header}
    with transaction.atomic():
        answer: HttpResponse = (
            getattr(client, method)(path, headers=headers, content_type="application/json")
            if method not in ("get", "head")
            else getattr(client, method)(path, headers=headers)
        )
        transaction.set_rollback(True)
    return answer


def expected(held: Held, name: str, method: str) -> int | None:
    """The status of a refusal; None where it may."""
    scope, need = TABLE.get((name, "get" if method == "head" else method), ("", ""))
    if need == NOBODY:
        return None
    if not held.works:
        return 401
    if not need:
        return 405
    if scope not in held.scopes:
        return 403
    if need == ANYBODY:
        return None
    if held.elsewhere or held.person == STRANGER:
        return 404
    return None if held.person in ALLOWED[need] else 403


def test_every_address_is_in_the_table() -> None:
    assert sorted({name for name, _ in TABLE}) == NAMES


def test_nothing_below_api_is_anything_but_the_api() -> None:
    """No page there, which would answer to nobody, and no address of the API elsewhere."""
    assert all(
        not reverse(f"api:{p.name}", kwargs=_kwargs(p)).endswith("/") for p in api_addresses()
    )
    assert all(
        reverse(f"api:{p.name}", kwargs=_kwargs(p)).startswith("/api/") for p in api_addresses()
    )
    assert not [p for p in page_addresses() if str(p.pattern).startswith("api")]


def _kwargs(pattern: URLPattern) -> dict[str, object]:
    values: dict[str, object] = {"project": "shop", "app": "web", "number": 1}
    return {key: values[key] for key in pattern.pattern.converters}


@pytest.mark.parametrize("name", NAMES)
def test_an_address_answers_only_to_tokens_it_is_for(
    name: str, client: Client, tokens: list[Held]
) -> None:
    [pattern] = [p for p in api_addresses() if p.name == name]
    path = reverse(f"api:{name}", kwargs=_kwargs(pattern))
    for held in tokens:
        # Methods that are not there need no look with every role.
        known = [m for m in METHODS if (name, "get" if m == "head" else m) in TABLE]
        for method in METHODS if held.person == OWNER else known:
            answer = ask(client, method, path, held.header)
            refused = expected(held, name, method)
            who = f"{held}: {method} {path} {answer.status_code}"
            if refused is None:
                assert answer.status_code in (200, 202, 204, 409, 415, 422), who
            else:
                assert answer.status_code == refused, who
                assert answer["Content-Type"] == "application/problem+json", who
                assert ("WWW-Authenticate" in answer) or refused != 401, who
                assert ("Allow" in answer) == (refused == 405), who
            assert answer["Cache-Control"] == "no-store" and not answer.cookies, who


def test_nothing_of_another_project_is_told(client: Client, tokens: list[Held], web: App) -> None:
    """What there is and what there is not look the same."""
    Deployment.objects.update(commit_message="The secret plan")
    app_create(
        project=Project.objects.get(slug="other"),
        slug="web",
        repository="https://git.example.com/other/web.git",
        created_by=None,
    )
    for held in tokens:
        if not held.works or not (held.elsewhere or held.person == STRANGER):
            continue
        listed = ask(client, "get", "/api/v1/apps", held.header).content.decode()
        assert "shop" not in listed and ("other" in listed) == held.elsewhere
        there = ask(client, "get", "/api/v1/apps/shop/web", held.header)
        missing = ask(client, "get", "/api/v1/apps/nothing/web", held.header)
        assert there.status_code == missing.status_code == 404
        assert there.content == missing.content


def test_a_session_never_counts_on_the_api(client: Client, alice: User, web: App) -> None:
    client.force_login(alice)
    assert client.get("/projects/shop/").status_code == 200
    for name, method in TABLE:
        [pattern] = [p for p in api_addresses() if p.name == name]
        path = reverse(f"api:{name}", kwargs=_kwargs(pattern))
        answer = getattr(client, method)(path)
        assert answer.status_code == (200 if name == "openapi" else 401), path
        assert "mist_session" not in answer.cookies
    assert client.get("/projects/shop/").status_code == 200
    assert not Deployment.objects.exists()


def test_a_token_never_counts_on_a_page(client: Client, tokens: list[Held], web: App) -> None:
    [header] = [t.header for t in tokens if t.scopes[1:] == ("admin",) and t.person == OWNER]
    assert ask(client, "get", "/api/v1/apps/shop/web", header).status_code == 200
    tried = 0
    for pattern in page_addresses():
        path = reverse(str(pattern.name), kwargs=_kwargs_of_page(pattern))
        for method in ("get", "post"):
            plain = getattr(client, method)(path)
            with_token = ask(client, method, path, header)
            assert with_token.status_code == plain.status_code, path
            assert with_token.get("Location") == plain.get("Location"), path
            tried += 1
    assert tried > 80
    assert client.get("/admin/", headers={"Authorization": str(header)}).status_code == 302


def _kwargs_of_page(pattern: URLPattern) -> dict[str, object]:
    known = {"project": "shop", "app": "web", "name": "hello", "rest": "info/refs"}
    return {
        key: 1 if isinstance(converter, IntConverter) else known.get(key, "x")
        for key, converter in pattern.pattern.converters.items()
    }
