"""A token in use: where it counts, what it may, and what is noted."""

from __future__ import annotations

import datetime as dt
import json
from urllib.parse import urlencode

import pytest
import time_machine
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone

from apps.accounts.models import InstanceRole, User
from apps.api import services
from apps.api.models import ApiToken, Scope
from apps.audit.models import ActorKind, AuditEvent
from apps.audit.trail import record
from apps.projects.access import EVERYBODY, allow, api
from apps.projects.models import App, Membership, ProjectRole
from mist_project import urls
from mist_project.asgi import application
from tests.api.conftest import DEPLOY, MakeProgram, Program, problem

WEB = "/api/v1/apps/shop/web"


@pytest.fixture
def bob(web: App) -> User:
    """A developer of the project."""
    user = User.objects.create_user("bob@example.com", name="Bob", role=InstanceRole.MEMBER)
    Membership.objects.create(project=web.project, user=user, role=ProjectRole.DEVELOPER)
    return user


def test_it_says_what_it_may_itself(program_of: MakeProgram, alice: User, web: App) -> None:
    program = program_of(alice, "deploy", project=web.project)
    found = json.loads(program.get("/api/v1/token").content)
    assert (found["scopes"], found["project"]) == (["read", "deploy"], "shop")
    assert found["prefix"] == program.secret[:11] and program.secret not in str(found)


def test_it_follows_what_its_person_may_at_once(program_of: MakeProgram, bob: User) -> None:
    program = program_of(bob)
    assert program.post(DEPLOY).status_code == 202
    Membership.objects.update(role=ProjectRole.VIEWER)
    assert program.post(DEPLOY).status_code == 403
    assert program.get(WEB).status_code == 200
    Membership.objects.all().delete()
    assert program.post(DEPLOY).status_code == program.get(WEB).status_code == 404
    assert json.loads(program.get("/api/v1/apps").content)["apps"] == []
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert program.get("/api/v1/apps").status_code == 401
    User.objects.filter(pk=bob.pk).update(is_active=True, role=InstanceRole.ADMIN)
    assert program.post(DEPLOY).status_code == 202
    User.objects.filter(pk=bob.pk).update(role=InstanceRole.MEMBER)
    assert program.get(WEB).status_code == 404


def test_it_ends_when_it_expires(program_of: MakeProgram, alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        program = program_of(alice, expires_at=timezone.now() + dt.timedelta(days=7))
        clock.shift(dt.timedelta(days=7, seconds=-1))
        assert program.get("/api/v1/token").status_code == 200
        clock.shift(dt.timedelta(seconds=1))
        assert program.get("/api/v1/token").status_code == 401


def test_it_is_refused_in_words_that_tell_nothing_of_it(
    program_of: MakeProgram, program: Program, alice: User
) -> None:
    expired = program_of(alice, expires_at=timezone.now())
    services.token_revoke(token=program.token, by=None)
    answers = [
        one.get("/api/v1/token").content
        for one in (expired, program, Program(program.token, "mist_" + "x" * 43))
    ]
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    ("header", "works"),
    [
        ("Bearer {}", True),
        ("bearer {}", True),
        ("BEARER  {}", True),
        ("{}", False),
        ("Token {}", False),
        ("Basic {}", False),
        ("Bearer {},", False),
        ("Bearer {} x", False),
        ("Bearer {}ü", False),
    ],
)
def test_it_counts_as_a_bearer_alone(program: Program, header: str, works: bool) -> None:
    answer = program.get("/api/v1/token", Authorization=header.format(program.secret))
    assert answer.status_code == (200 if works else 401)


def test_it_counts_in_the_header_alone(program: Program) -> None:
    query = urlencode({"access_token": program.secret, "token": program.secret})
    answer = Client().get(f"/api/v1/token?{query}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="Mist"'
    assert program.secret not in answer.content.decode()


def test_who_lacks_a_scope_is_told_which(program_of: MakeProgram, alice: User, web: App) -> None:
    answer = program_of(alice, "write").post(DEPLOY)
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="deploy"' in answer["WWW-Authenticate"]
    assert problem(answer)["detail"] == "This needs a token with the scope deploy."


def test_its_use_is_noted_at_most_once_a_minute(program: Program) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        for seconds, address, noted in ((0, "192.0.2.1", 0), (59, "192.0.2.2", 0), (1, "::1", 60)):
            clock.shift(seconds)
            program.client.get(
                "/api/v1/token",
                headers={"Authorization": f"Bearer {program.secret}"},
                REMOTE_ADDR=address,
            )
            token = ApiToken.objects.get()
            assert token.last_used_at == start + dt.timedelta(seconds=noted)
    assert token.last_used_address == "::1"


def test_a_token_that_does_not_work_is_not_noted(program: Program) -> None:
    services.token_revoke(token=program.token, by=None)
    program.get("/api/v1/token")
    assert ApiToken.objects.get().last_used_at is None


@pytest.mark.django_db(transaction=True)
async def test_it_opens_no_websocket(program: Program, web: App) -> None:
    for page in ("/", "/projects/shop/apps/web/", "/api/v1/apps", "/api/v1/apps/shop/web"):
        socket = WebsocketCommunicator(
            application,
            "/ws/page/?" + urlencode({"path": page}),
            headers=[
                (b"host", b"testserver"),
                (b"origin", b"http://testserver"),
                (b"authorization", f"Bearer {program.secret}".encode()),
            ],
        )
        accepted, _ = await socket.connect(timeout=10)
        assert not accepted, page
    assert (await sync_to_async(program.get)("/api/v1/token")).status_code == 200


# ------------------------------------------------------------------- views that tests alone have


@api(post=(Scope.DEPLOY, InstanceRole.MEMBER))
def _deed(request: HttpRequest) -> HttpResponse:
    record("test.deed", name="it")
    return JsonResponse({})


@api(get=(Scope.READ, InstanceRole.ADMIN))
def _for_admins(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


def _undeclared(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"open": True})


@allow(EVERYBODY)
def _page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


@api(get=EVERYBODY)
def _open(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


@api(get=EVERYBODY)
def _explode(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the-secret-reason")


class More:
    handler500 = urls.handler500
    urlpatterns = [
        path("api/test/deed", _deed),
        path("api/test/admins", _for_admins),
        path("api/test/undeclared", _undeclared),
        path("api/test/page", _page),
        path("test/api", _open),
        path("api/test/explode", _explode),
        path("", include("mist_project.urls")),
    ]


@override_settings(ROOT_URLCONF=More)
def test_what_it_does_is_audited_as_the_tokens_deed(program: Program, alice: User) -> None:
    assert program.post("/api/test/deed", REMOTE_ADDR="192.0.2.7").status_code == 200
    event = AuditEvent.objects.get(action="test.deed")
    assert (event.actor_kind, event.actor_id) == (ActorKind.TOKEN, alice.pk)
    assert (event.actor_name, event.via) == ("Alice Archer", f"CI ({program.secret[:11]}…)")
    assert event.request_id and program.secret not in str(event.__dict__)


@override_settings(ROOT_URLCONF=More)
def test_a_view_that_declares_no_scope_is_closed(program: Program, client: Client) -> None:
    for address in ("/api/test/undeclared", "/api/test/page"):
        for answer in (program.get(address), client.get(address), program.post(address)):
            assert answer.status_code == 403, address
            assert problem(answer)["detail"] in ("Nobody may use this.", "You may not do this.")


@override_settings(ROOT_URLCONF=More)
def test_a_view_of_the_api_is_closed_elsewhere(program: Program, alice: User) -> None:
    program.client.force_login(alice)
    assert program.get("/test/api").status_code == 403


@override_settings(ROOT_URLCONF=More)
def test_a_token_of_one_project_does_nothing_for_the_instance(
    program_of: MakeProgram, program: Program, alice: User, web: App
) -> None:
    assert program.get("/api/test/admins").status_code == 200
    assert program_of(alice, project=web.project).get("/api/test/admins").status_code == 403


@override_settings(ROOT_URLCONF=More)
def test_an_error_of_mist_says_nothing_of_its_reason(client: Client) -> None:
    client.raise_request_exception = False
    answer = client.get("/api/test/explode")
    assert answer.status_code == 500 and "the-secret-reason" not in answer.content.decode()
    assert problem(answer)["title"] == "Internal Server Error"


def test_what_is_not_there_is_a_problem_too(program: Program) -> None:
    for address in ("/api/", "/api/v2/apps", "/api/v1/apps/", "/api/v1/apps/shop/web/nope"):
        answer = program.get(address)
        assert answer.status_code == 404 and problem(answer)["title"] == "Not Found"
        assert answer["X-Request-ID"] and answer["Content-Security-Policy"]
        assert answer["Content-Length"] == str(len(answer.content))
