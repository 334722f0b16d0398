"""What people do from a terminal, on the fake engine and without a running Mist."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.tasks import claim_next
from apps.engine import host
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.engine.host import check_room
from apps.projects.models import App, Project
from apps.system.management.commands import up

REPOSITORY = "https://git.example.com/shop/web.git"


def mist(*words: str, **options: Any) -> str:
    """The command's output; its errors are raised."""
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=out, **options)
    return out.getvalue()


def deploy(path: str) -> Deployment:
    mist("deploy", path)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def test_an_app_is_made_deployed_and_listed(fake: FakeEngine, alice: User) -> None:
    mist("project_create", "shop")
    made = mist(
        *("app_create", "shop/web", "--repo", REPOSITORY, "--branch", "main", "--port", "8000"),
        *("--env", "TOKEN=a=b$c", "--env", "EMPTY=", "--json"),
    )
    assert json.loads(made)["app"] == "shop/web"
    app = App.objects.get()
    assert {v.name: v.value for v in app.variables.all()} == {"TOKEN": "a=b$c", "EMPTY": ""}
    live = deploy("shop/web")
    assert (live.status, live.trigger, live.requested_by) == (Status.LIVE, "command", alice)
    [row] = json.loads(mist("apps", "--json"))
    assert (row["app"], row["state"], row["live"]) == ("shop/web", "running", 1)
    assert "shop/web" in mist("apps") and app.url in mist("apps")
    assert "listening" in mist("logs", "shop/web")
    assert "Cloning" in mist("logs", "shop/web", "--deployment", "1")


def test_a_ready_image_is_made_an_app_and_deployed(fake: FakeEngine, alice: User) -> None:
    fake.containers.publish("ghcr.io/halden/shop:1.0", "one")
    digest = fake.containers.publish("ghcr.io/halden/shop:2.0", "two")
    mist("project_create", "shop")
    mist("app_create", "shop/web", "--image", "ghcr.io/halden/shop:1.0", "--pull", "missing")
    app = App.objects.get()
    assert (app.source_kind, app.image_name, app.pull_policy, app.repository) == (
        "image", "ghcr.io/halden/shop:1.0", "missing", "",
    )  # fmt: skip
    assert deploy("shop/web").ref == "1.0"
    mist("deploy", "shop/web", "--image", "ghcr.io/halden/shop:2.0")
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    live = Deployment.objects.get(pk=claimed.pk)
    assert (live.status, live.pulled_image) == (Status.LIVE, f"ghcr.io/halden/shop@{digest}")
    assert "Pulling ghcr.io/halden/shop:2.0" in mist("logs", "shop/web", "--deployment", "2")
    with pytest.raises(CommandError, match="another image"):
        mist("deploy", "shop/web", "--image", "nginx:1.27")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["project_create", "Shop!"], "slug:"),
        (["project_create", "shop"], "already"),
        (["app_create", "none/web", "--repo", REPOSITORY], "no project none"),
        (["app_create", "shop/../x", "--repo", REPOSITORY], "slug:"),
        (["app_create", "shop/api", "--repo", "file:///etc"], "repository:"),
        (["app_create", "shop/api", "--image", "Nginx"], "image_name:"),
        (["app_create", "shop/api", "--image", "nginx", "--repo", REPOSITORY], "not allowed"),
        (["deploy", "shop/web", "--image", "nginx:1.27"], "built from code"),
        (["app_create", "shop/api", "--repo", "ext::sh -c id"], "repository:"),
        (["app_create", "shop/api", "--repo", REPOSITORY, "--branch", "-x"], "branch:"),
        (["app_create", "shop/api", "--repo", REPOSITORY, "--port", "99999"], "port:"),
        (["app_create", "shop/api", "--repo", REPOSITORY, "--root", "../.."], "root_directory:"),
        (["app_create", "shop/api", "--repo", REPOSITORY, "--env", "A"], "NAME=value"),
        (["app_create", "shop/web", "--repo", REPOSITORY], "already"),
        (["deploy", "shop/none"], "no app shop/none"),
        (["deploy", "shop/web", "--ref", "--upload-pack=id"], "branch or tag"),
        (["deploy", "shop/web", "--wait"], "not running"),
        (["logs", "shop/web"], "no running version"),
        (["logs", "shop/web", "--deployment", "7"], "no deployment #7"),
        (["domain_add", "shop/web", "a.com`) || Host(`b.com"], "host name"),
        (["domain_add", "shop/web", "web-shop.localhost"], "belongs to"),
        (["app_delete", "shop/web"], "--yes"),
        (["reset_password", "nobody@example.com"], "no user"),
    ],
)
def test_bad_input_is_answered_with_a_sentence_and_changes_nothing(
    fake: FakeEngine, web: App, words: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        if "--ref" in words:
            mist(*words[:2], ref=words[3])
        else:
            mist(*words)
    assert list(App.objects.values_list("slug", flat=True)) == ["web"]
    assert list(Project.objects.values_list("slug", flat=True)) == ["shop"]
    assert not Deployment.objects.exists() and not web.domains.exists()


def test_deploy_says_when_nobody_would_take_it_up(fake: FakeEngine, web: App) -> None:
    assert "Mist is not running" in mist("deploy", "shop/web")
    assert Deployment.objects.get().status == Status.QUEUED


def test_an_app_is_deleted_without_a_running_mist(fake: FakeEngine, web: App) -> None:
    deploy("shop/web")
    assert "deleted" in mist("app_delete", "shop/web", "--yes")
    assert not App.objects.exists() and fake.containers.all == {}


def test_a_host_name_is_added_without_a_running_mist(fake: FakeEngine, web: App) -> None:
    deploy("shop/web")
    mist("domain_add", "shop/web", "Shop.Example.com")
    assert "shop.example.com" in str(fake.proxy.routes[str(web.pk)])


def test_an_administrator_is_made_and_gets_a_new_password(
    fake: FakeEngine, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a-long-enough-password\n"))
    mist("createadmin", "Bob@Example.com", "--name", "Bob")
    bob = User.objects.get()
    assert bob.is_superuser and bob.check_password("a-long-enough-password")
    monkeypatch.setattr("sys.stdin", io.StringIO("another-long-password\n"))
    mist("reset_password", "bob@example.com")
    bob.refresh_from_db()
    assert bob.check_password("another-long-password")


def test_a_weak_password_is_refused(
    fake: FakeEngine, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    with pytest.raises(CommandError, match="12 characters"):
        mist("createadmin", "bob@example.com")
    assert not User.objects.exists()


def test_the_doctor_names_what_is_wrong_and_what_to_do(
    fake: FakeEngine, db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.containers.fail("info", EngineUnavailable("No engine.", hint="Start it."))
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=out)
    assert end.value.code == 1
    assert "PROBLEM Docker engine: No engine.\n        Start it." in out.getvalue()


def test_the_doctor_says_what_it_found_in_traefik(fake: FakeEngine, db: None) -> None:
    fake.proxy.ensure_running()
    fake.proxy.state_now = dataclasses.replace(fake.proxy.right_state(), version="3.6.0")
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=out)
    assert end.value.code == 1
    assert "PROBLEM Traefik's version: 3.6.0 is too old" in out.getvalue()
    assert "ok      Traefik's configuration: as this Mist writes it" in out.getvalue()


@pytest.mark.parametrize(
    ("free", "total", "ok", "needed"),
    [(500, 1000, True, True), (9, 100, False, False), (4, 20, False, False), (0.5, 1, False, True)],
)
def test_the_doctor_says_when_a_disk_is_nearly_full(
    free: float, total: float, ok: bool, needed: bool
) -> None:
    check = check_room("Engine's disk", Path("/x"), int(free * 1024**3), int(total * 1024**3))
    assert (check.ok, check.needed) == (ok, needed)
    assert ok or "./mist cleanup" in check.hint


def test_the_set_up_link_is_printed_only_while_nobody_exists(fake: FakeEngine, db: None) -> None:
    assert "/setup/" in mist("setup_link")
    User.objects.create_superuser("alice@example.com", "x", name="Alice")
    with pytest.raises(CommandError, match="set up already"):
        mist("setup_link")


def test_a_server_that_restarts_with_little_room_is_told_and_serves_all_the_same(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    monkeypatch.setattr(host, "DISK_NEEDED", 1 << 60)
    out = io.StringIO()
    up.Command(stdout=out)._check_room()
    assert "Mist needs 1 GB free" in out.getvalue()
