"""A running Mist, a real Git host, and a signed push: live at exactly that commit."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.git_host import GitHost, Origin, serve_git
from tests.machine.live import LiveMist, live_mist
from tests.machine.world import SAMPLES, wait_until
from tests.sources.conftest import signed
from tests.sources.payloads import github_push

pytestmark = pytest.mark.docker
HOST = "web-shop.localhost"
MAKE = """
from apps.projects.models import App, Project
from apps.sources.hook_services import deploy_hook_create, webhook_secret_make
made = webhook_secret_make(project=Project.objects.get(), kind="github", by=None)
hook = deploy_hook_create(app=App.objects.get(), name="CI", created_by=None)
print("made:", made.webhook.public_id, made.secret, hook.secret)
"""


@pytest.fixture
def git(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "git") as host:
        yield host


@pytest.fixture
def mist(tmp_path: Path) -> Iterator[LiveMist]:
    with live_mist(tmp_path / "data") as found:
        yield found


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    named = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, body, named, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def pushed(origin: Origin, commit: str) -> bytes:
    place = origin.url.rpartition("/samples/")[0]
    return json.dumps(github_push(host=place, repository="samples/web", after=commit)).encode()


def test_a_signed_push_brings_exactly_its_commit_live(git: GitHost, mist: LiveMist) -> None:
    origin = git.create("samples/web")
    shutil.copytree(SAMPLES / "static", origin.path, dirs_exist_ok=True)
    origin.commit({}, "First version")
    mist.run("up", "--detach")
    mist.run("project_create", "shop")
    mist.run("app_create", "shop/web", "--repo", origin.url, "--health-path", "/healthz")
    made = re.search(r"made: (\S+) (\S+) (\S+)", mist.run("shell", "-c", MAKE))
    assert made is not None
    public_id, secret, hook = made.groups()
    address = f"{mist.url}/hooks/github/{public_id}"

    wanted = origin.commit({"site/index.html": "VERSION 7"}, "Version 7")
    origin.commit({"site/index.html": "VERSION 8"}, "Version 8")
    body = pushed(origin, wanted)
    event = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e"}
    assert post(address, body, **event)[0] == 403
    assert post(address, body, **event, **signed("github", "wrong", body))[0] == 403
    first = post(address, body, **event, **signed("github", secret, body))
    assert first == (
        202,
        {"outcome": "deployed", "words": ["deployed shop/web #1"], "times": 1},
    )
    wait_until(lambda: mist.apps()[0]["live"] == 1, "the pushed commit going live", 300)
    status, page = mist.visit(HOST)
    assert status == 200 and "VERSION 7" in page

    again = post(address, body, **event, **signed("github", secret, body))
    assert again[1]["times"] == 2
    status, answer = post(f"{mist.url}/hooks/deploy/{hook}", b"")
    assert (status, answer["deployment"]) == (202, 2)
    wait_until(lambda: mist.apps()[0]["live"] == 2, "the branch going live", 300)
    assert "VERSION 8" in mist.visit(HOST)[1]
    assert post(f"{mist.url}/hooks/deploy/{hook}x", b"")[0] == 404
    for file in mist.data_dir.rglob("*.log"):
        text = file.read_text(errors="replace")
        assert secret not in text and hook not in text, file
