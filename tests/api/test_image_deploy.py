"""Ready images over the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse

from apps.deployments.models import Deployment, Status
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.api.conftest import DEPLOY, Program, problem, run_next

APP = "/api/v1/apps/shop/web"
IMAGE = "ghcr.io/halden/shop:1.0"
DIGEST = "sha256:" + "5" * 64


@pytest.fixture
def ready(fake: FakeEngine, web: App) -> App:
    App.objects.filter(pk=web.pk).update(source_kind="image", image_name=IMAGE, repository="")
    return App.objects.get(pk=web.pk)


def shape(answer: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_it_deploys_the_image_and_says_which_it_was(
    fake: FakeEngine, program: Program, ready: App
) -> None:
    digest = fake.containers.publish(IMAGE, "one")
    answer = program.post(DEPLOY)
    first = shape(answer)
    assert answer.status_code == 202
    assert (first["ref"], first["image"], first["commit"]) == ("1.0", IMAGE, None)
    run_next()
    then = shape(program.get(answer["Location"]))
    assert (then["status"], then["image"]) == ("live", f"{IMAGE}@{digest}")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"ref": "2.0"}, "ghcr.io/halden/shop:2.0"),
        ({"ref": DIGEST}, f"ghcr.io/halden/shop@{DIGEST}"),
        ({"image": "ghcr.io/halden/shop:2.0"}, "ghcr.io/halden/shop:2.0"),
        ({"image": f"{IMAGE}@{DIGEST}"}, f"{IMAGE}@{DIGEST}"),
    ],
)
def test_another_tag_or_digest_is_deployed(
    program: Program, ready: App, body: dict[str, str], wanted: str
) -> None:
    assert program.post(DEPLOY, body).status_code == 202
    assert Deployment.objects.get().wanted_image == wanted


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"ref": "a b"}, "ref", "A tag has letters"),
        ({"ref": 1}, "ref", "a text"),
        ({"image": "Nginx"}, "image", "lower-case letters"),
        ({"image": "nginx:1.27"}, "image", "another image"),
        ({"commit": "a" * 40}, "commit", "ref, image"),
        ({"no_cache": True}, "no_cache", "ref, image"),
    ],
)
def test_what_is_no_version_of_the_image_is_refused(
    program: Program, ready: App, body: dict[str, Any], field: str, says: str
) -> None:
    answer = program.post(DEPLOY, body)
    assert answer.status_code == 422
    assert says in problem(answer)["errors"][field][0]
    assert not Deployment.objects.exists()


def test_code_has_no_image(program: Program, web: App) -> None:
    answer = program.post(DEPLOY, {"image": IMAGE})
    assert "no such field" in problem(answer)["errors"]["image"][0]


def test_the_apps_own_image_is_changed(fake: FakeEngine, program: Program, ready: App) -> None:
    answer = program.ask("PATCH", APP, {"image_name": "nginx:1.27", "pull_policy": "missing"})
    assert answer.status_code == 200
    settings = shape(answer)["settings"]
    assert (settings["image_name"], settings["pull_policy"]) == ("nginx:1.27", "missing")
    refused = program.ask("PATCH", APP, {"image_name": "nginx:1.27\n--privileged"})
    assert refused.status_code == 422 and "image_name" in problem(refused)["errors"]
    fake.containers.publish("nginx:1.27", "web server")
    assert program.post(DEPLOY).status_code == 202
    run_next()
    assert Deployment.objects.get().status == Status.LIVE
