"""The deploy hook, and what follows it: looking, cancelling, rolling back, restarting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.api.bodies import BODY_MAX
from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import next_number
from apps.engine.errors import BuildFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_create, variables_save
from tests.api.conftest import DEPLOY, Program, problem, run_next
from tests.deployments.test_deployment_run import deploy

DEPLOYMENTS = "/api/v1/apps/shop/web/deployments"
SHA = "0123456789abcdef" * 2 + "01234567"


def shape(answer: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_it_deploys_and_says_where_to_look(
    fake: FakeEngine, program: Program, web: App, alice: User
) -> None:
    fake.git.commit("Add a cart")
    answer = program.post(DEPLOY)
    assert answer.status_code == 202 and answer["Location"] == f"{DEPLOYMENTS}/1"
    first = shape(answer)
    assert (first["id"], first["status"], first["is_finished"]) == (1, "queued", False)
    assert (first["ref"], first["requested_by"]) == ("main", "Alice Archer")
    run_next()
    then = shape(program.get(answer["Location"]))
    assert (then["status"], then["is_finished"], then["failure"]) == ("live", True, None)
    assert then["commit_message"] == "Add a cart" and len(then["commit"]) == 40
    assert then["links"]["page"] == "/projects/shop/apps/web/deployments/1/"
    app = shape(program.get("/api/v1/apps/shop/web"))
    assert (app["live"], app["state"]) == (1, "running")
    assert Deployment.objects.get().requested_by == alice


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, ("main", "", False)),
        ({"ref": "release/1.2"}, ("release/1.2", "", False)),
        ({"commit": SHA.upper()}, ("main", SHA, False)),
        ({"ref": "v2", "commit": SHA, "no_cache": True}, ("v2", SHA, True)),
    ],
)
def test_it_deploys_what_the_body_names(
    program: Program, web: App, body: dict[str, Any], wanted: tuple[str, str, bool]
) -> None:
    assert program.post(DEPLOY, body).status_code == 202
    made = Deployment.objects.get()
    assert (made.ref, made.commit, made.no_cache) == wanted


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"ref": "a;b"}, {"ref": "A branch or tag has letters"}),
        ({"ref": "main\n"}, {"ref": "A branch or tag has letters"}),
        ({"ref": "--upload-pack=id"}, {"ref": "A branch or tag has letters"}),
        ({"ref": None}, {"ref": "This is a text."}),
        ({"ref": ["main"]}, {"ref": "This is a text."}),
        ({"ref": ""}, {"ref": "A branch or tag has letters"}),
        ({"commit": SHA[:7]}, {"commit": "A commit is its 40 digits."}),
        ({"commit": SHA + "\n"}, {"commit": "A commit is its 40 digits."}),
        ({"no_cache": "yes"}, {"no_cache": "This is true or false."}),
        ({"no_cache": 1}, {"no_cache": "This is true or false."}),
        ({"branch": "main"}, {"branch": "There is no such field. The fields are: ref, commit"}),
        ({"ref": "a b", "x": 1}, {"ref": "A branch or tag", "x": "There is no such field"}),
    ],
)
def test_it_names_the_fields_that_are_wrong_and_does_nothing(
    program: Program, web: App, body: dict[str, Any], errors: dict[str, str]
) -> None:
    answer = program.post(DEPLOY, body)
    assert answer.status_code == 422
    found = problem(answer)["errors"]
    assert found.keys() == errors.keys()
    assert all(found[name][0].startswith(words) for name, words in errors.items())
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"[]", b'"main"', b"null", b"{'ref': 1}", b'{"ref": NaN}', b"\xff\xfe{}",
        b'{"ref": "a", "ref": "b"}', b'{"x":' * 20_000, b"[" * 60_000, b"9" * 60_000, b"\x00",
    ],
)  # fmt: skip
def test_it_takes_no_body_that_is_no_json_object(program: Program, web: App, raw: bytes) -> None:
    answer = program.ask("POST", DEPLOY, raw=raw)
    assert answer.status_code == 400 or len(raw) > BODY_MAX
    assert problem(answer)["detail"] and not Deployment.objects.exists()


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_it_takes_no_body_of_another_type(program: Program, web: App, kind: str) -> None:
    answer = program.post(DEPLOY, {"ref": "main"}, content_type=kind)
    assert answer.status_code == 415 and "application/json" in problem(answer)["detail"]
    assert (
        program.post(DEPLOY, {}, content_type="application/json; charset=utf-8").status_code == 202
    )
    assert program.ask("POST", DEPLOY, raw=b"", content_type=kind).status_code == 202


def test_it_takes_no_body_that_is_too_large(program: Program, web: App) -> None:
    for raw in (b" " * (BODY_MAX + 1), b"{}" + b" " * 3 * 1024 * 1024):
        answer = program.ask("POST", DEPLOY, raw=raw)
        assert answer.status_code == 413 and "64 KB" in problem(answer)["detail"]
    assert program.ask("POST", DEPLOY, raw=b"{}" + b" " * (BODY_MAX - 2)).status_code == 202


def test_what_failed_says_why_without_a_log(fake: FakeEngine, program: Program, web: App) -> None:
    fake.containers.fail("build", BuildFailed("Step 4 failed.", hint="Look.", detail="#8 pip log"))
    program.post(DEPLOY)
    run_next()
    answer = program.get(f"{DEPLOYMENTS}/1")
    assert shape(answer)["failure"] == {
        "stage": "building", "message": "Step 4 failed.", "hint": "Look.",
    }  # fmt: skip
    assert "pip log" not in answer.content.decode()


def test_no_answer_holds_a_variable(fake: FakeEngine, program: Program, web: App) -> None:
    variables_save(app=web, values={"API_KEY": "the-value-of-it"}, changed_by=None)
    deploy(web)
    for address in ("/api/v1/apps", "/api/v1/apps/shop/web", DEPLOYMENTS, f"{DEPLOYMENTS}/1"):
        text = program.get(address).content.decode()
        assert "the-value-of-it" not in text and "API_KEY" not in text


# ------------------------------------------------------------------------- looking, and other deeds


def test_it_lists_apps_and_deployments(program: Program, web: App, alice: User) -> None:
    Deployment.objects.bulk_create(
        Deployment(app=web, number=next_number(web), ref="main", status=Status.FAILED)
        for _ in range(51)
    )
    page = shape(program.get(DEPLOYMENTS))
    assert [d["id"] for d in page["deployments"]] == list(range(51, 1, -1))
    assert page["next"] == f"{DEPLOYMENTS}?before=2"
    last = shape(program.get(page["next"]))
    assert ([d["id"] for d in last["deployments"]], last["next"]) == ([1], None)
    apps = shape(program.get("/api/v1/apps"))
    assert [(a["project"], a["app"]) for a in apps["apps"]] == [("shop", "web")]
    assert apps["next"] is None
    assert shape(program.get("/api/v1/apps?page=2"))["apps"] == []


def test_long_lists_ask_the_database_no_oftener(
    program: Program, web: App, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(10):
        app = app_create(
            project=web.project, slug=f"app-{n}", repository=web.repository, created_by=None
        )
        Deployment.objects.create(app=app, number=1, ref="main")
        Deployment.objects.create(app=web, number=n + 1, ref="main")
    for address in ("/api/v1/apps", DEPLOYMENTS):
        # The token, its share, its use, and what is asked for.
        with django_assert_max_num_queries(5):
            assert program.get(address).status_code == 200


@pytest.mark.parametrize("given", ["0", "-1", "x", "", "1e3", "9" * 20, "١"])
def test_a_place_in_a_list_that_is_no_number_is_refused(
    program: Program, web: App, given: str
) -> None:
    answer = program.get(f"{DEPLOYMENTS}?before={given}")
    assert answer.status_code == 422 and "before" in problem(answer)["errors"]


def test_a_number_that_no_deployment_can_have_is_not_there(program: Program, web: App) -> None:
    for number in ("0", "99", "9" * 30):
        assert program.get(f"{DEPLOYMENTS}/{number}").status_code == 404


def test_it_cancels_what_waits_and_says_what_is_over(program: Program, web: App) -> None:
    program.post(DEPLOY)
    answer = program.post(f"{DEPLOYMENTS}/1/cancel")
    assert (answer.status_code, shape(answer)["status"]) == (202, "cancelled")
    over = program.post(f"{DEPLOYMENTS}/1/cancel")
    assert over.status_code == 409
    assert problem(over)["detail"] == "Deployment 1 is cancelled."


def test_it_rolls_back_once_for_a_key(fake: FakeEngine, program: Program, web: App) -> None:
    deploy(web)
    deploy(web)
    for _ in range(2):
        answer = program.post(
            f"{DEPLOYMENTS}/1/rollback", {"old_variables": True}, Idempotency_Key="k"
        )
        assert (answer.status_code, answer["Location"]) == (202, f"{DEPLOYMENTS}/3")
    assert shape(answer)["trigger"] == "rollback"
    assert Deployment.objects.get(number=3).takes_old_variables
    unknown = program.post(f"{DEPLOYMENTS}/1/rollback", {"variables": "then"})
    assert list(problem(unknown)["errors"]) == ["variables"]
    not_kept = program.post(f"{DEPLOYMENTS}/2/rollback")
    assert not_kept.status_code == 409 and problem(not_kept)["type"].endswith("/not-kept")


def test_it_restarts_what_runs(fake: FakeEngine, program: Program, web: App) -> None:
    nothing = program.post("/api/v1/apps/shop/web/restart")
    assert nothing.status_code == 409 and problem(nothing)["type"].endswith("/nothing-runs")
    deploy(web)
    assert program.post("/api/v1/apps/shop/web/restart").status_code == 202
    web.refresh_from_db()
    assert web.restart_requested


def test_it_changes_settings_that_are_named_and_no_others(program: Program, web: App) -> None:
    before = shape(program.get("/api/v1/apps/shop/web"))["settings"]
    given = {"branch": "stable", "memory_mb": 1024, "port": None, "cpus": 0.5}
    answer = program.ask("PATCH", "/api/v1/apps/shop/web", given)
    assert answer.status_code == 200
    after = shape(program.get("/api/v1/apps/shop/web"))["settings"]
    assert after == before | given == shape(answer)["settings"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"branch": "a b"}, "branch"),
        ({"branch": 1}, "branch"),
        ({"memory_mb": "1024"}, "memory_mb"),
        ({"memory_mb": True}, "memory_mb"),
        ({"memory_mb": 1}, "memory_mb"),
        ({"port": 70_000}, "port"),
        ({"repository": "file:///etc"}, "repository"),
        ({"repository": "https://user:pw@git.example.com/a"}, "repository"),
        ({"health_check": "maybe"}, "health_check"),
        ({"slug": "other"}, "slug"),
        ({"deleted_at": "2026-01-01"}, "deleted_at"),
        ({"wanted": "stopped"}, "wanted"),
    ],
)
def test_it_changes_no_setting_to_what_its_form_would_not_take(
    program: Program, web: App, given: dict[str, Any], wrong: str
) -> None:
    answer = program.ask("PATCH", "/api/v1/apps/shop/web", {"dockerfile": "Other", **given})
    assert answer.status_code == 422 and list(problem(answer)["errors"]) == [wrong]
    web.refresh_from_db()
    assert web.dockerfile == "Dockerfile"


def test_it_deletes_an_app_as_its_page_does(program: Program, web: App) -> None:
    assert program.ask("DELETE", "/api/v1/apps/shop/web").status_code == 204
    web.refresh_from_db()
    assert web.deleted_at is not None and web.needs_apply
    assert program.get("/api/v1/apps/shop/web").status_code == 404
    assert program.post(DEPLOY).status_code == 404
