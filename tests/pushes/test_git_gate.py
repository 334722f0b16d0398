"""Who may push to and fetch from this Mist."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable

import pytest
from django.test import RequestFactory, override_settings
from django.utils import timezone

from apps.api.models import ApiToken
from apps.audit.models import ActorKind
from apps.projects.models import App, Project, ProjectRole
from apps.projects.services import project_create
from apps.projects.source_models import SourceKind
from apps.sources.git_gate import WRONG_TOKENS, Entry, Refused, enter

HERE = "/git/shop/pushed.git"
PUSH, FETCH = "git-receive-pack", "git-upload-pack"
Person = Callable[..., str]


def ask(
    secret: str = "", *, service: str = PUSH, path: str = "", method: str = "POST", **headers: str
) -> Entry:
    if secret:
        basic = base64.b64encode(f"anything:{secret}".encode()).decode()
        headers.setdefault("Authorization", f"Basic {basic}")
    where = path or f"{HERE}/{service}"
    request = RequestFactory().generic(method, where, headers=headers)
    return enter(request)


def refused(*args: str, **more: str) -> Refused:
    with pytest.raises(Refused) as found:
        ask(*args, **more)
    return found.value


def test_a_developer_with_the_scope_pushes_and_a_viewer_fetches(
    pushed: App, person: Person
) -> None:
    dora, vera = person("dora", ProjectRole.DEVELOPER, "deploy"), person("vera", ProjectRole.VIEWER)
    entry = ask(dora)
    assert (entry.app, entry.service, entry.lists_refs) == (pushed, PUSH, False)
    assert entry.actor.kind == ActorKind.TOKEN and entry.actor.name == "dora"
    assert "laptop" in entry.actor.via and dora not in repr(entry)
    assert ask(vera, service=FETCH).app == pushed
    listed = ask(vera, path=f"{HERE}/info/refs?service={FETCH}", method="GET")
    assert listed.lists_refs and listed.service == FETCH


def test_without_a_token_git_is_told_to_ask(pushed: App) -> None:
    answer = refused()
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="Mist"')


@pytest.mark.parametrize(
    "header",
    ["Bearer mist_x", "Basic", "Basic !!!", "Basic /w==", "Basic bm8tY29sb24=", "Digest x"],
)
def test_what_is_no_password_is_asked_for(pushed: App, header: str) -> None:
    assert refused(Authorization=header).status == 401


def test_who_may_not_is_told_why(pushed: App, person: Person, alice: object) -> None:
    viewer = person("vera", ProjectRole.VIEWER, "deploy")
    assert refused(viewer).status == 403 and "developer" in refused(viewer).words
    reader = person("dora", ProjectRole.DEVELOPER)
    assert refused(reader).status == 403 and "scope deploy" in refused(reader).words
    stranger = person("charlie", None, "deploy")
    assert refused(stranger).status == refused(stranger, service=FETCH).status == 404
    missing = refused(
        person("dora", ProjectRole.DEVELOPER, "deploy"), path=f"/git/shop/x.git/{PUSH}"
    )
    assert (missing.status, missing.words) == (404, refused(stranger).words)


def test_a_token_of_another_project_sees_nothing(pushed: App, person: Person) -> None:
    other: Project = project_create(slug="other", created_by=None)
    secret = person("dora", ProjectRole.DEVELOPER, "deploy", project=other)
    assert refused(secret).status == 404


def test_expired_revoked_and_unknown_tokens_are_the_same(pushed: App, person: Person) -> None:
    past = timezone.now() - dt.timedelta(seconds=1)
    expired = person("dora", ProjectRole.DEVELOPER, "deploy", expires_at=past)
    revoked = person("dora", ProjectRole.DEVELOPER, "deploy")
    ApiToken.objects.filter(expires_at=None).update(revoked_at=timezone.now())
    answers = {refused(secret).words for secret in (expired, revoked, "mist_" + "x" * 43)}
    assert len(answers) == 1


def test_somebody_who_guesses_has_to_wait(pushed: App, person: Person) -> None:
    dora = person("dora", ProjectRole.DEVELOPER, "deploy")
    statuses = [refused("mist_" + "x" * 43).status for _ in range(WRONG_TOKENS.tries + 1)]
    assert statuses == [401] * WRONG_TOKENS.tries + [429]
    assert ask(dora).app == pushed, "a right token is no guess"


@override_settings(MIST_API_REQUESTS_PER_MINUTE=2)
def test_a_token_has_only_so_many_requests(pushed: App, person: Person) -> None:
    dora = person("dora", ProjectRole.DEVELOPER, "deploy")
    assert ask(dora) and ask(dora)
    answer = refused(dora)
    assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", HERE, 404),
        ("GET", f"{HERE}/HEAD", 404),
        ("GET", f"{HERE}/info/refs", 404),
        ("GET", f"{HERE}/info/refs?service=git-upload-archive", 404),
        ("GET", f"{HERE}/objects/info/packs", 404),
        ("GET", f"/git/shop/../pushed.git/{PUSH}", 404),
        ("GET", f"{HERE}/{PUSH}", 405),
        ("POST", f"{HERE}/info/refs?service={PUSH}", 405),
    ],
)
def test_nothing_else_is_there(
    pushed: App, person: Person, method: str, path: str, status: int
) -> None:
    assert (
        refused(person("dora", ProjectRole.ADMIN, "deploy"), method=method, path=path).status
        == status
    )


def test_an_app_from_elsewhere_says_so(pushed: App, person: Person) -> None:
    App.objects.update(source_kind=SourceKind.GIT)
    answer = refused(person("dora", ProjectRole.DEVELOPER, "deploy"))
    assert answer.status == 403 and "Pushed or uploaded" in answer.words


def test_a_name_that_is_not_mists_is_refused(pushed: App, person: Person) -> None:
    dora = person("dora", ProjectRole.DEVELOPER, "deploy")
    assert refused(dora, Host="evil.example").status == 400


@override_settings(SECURE_SSL_REDIRECT=True)
def test_a_mist_with_https_takes_no_token_without(pushed: App, person: Person) -> None:
    answer = refused(person("dora", ProjectRole.DEVELOPER, "deploy"))
    assert answer.status == 403 and "HTTPS" in answer.words
