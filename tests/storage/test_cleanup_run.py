"""Clean-ups from the button, the schedule and the command line, on an engine in memory."""

from __future__ import annotations

import datetime as dt
import json
import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments.models import Deployment, Status
from apps.deployments.planning import deployment_labels, image_name
from apps.engine.disk import StoredImage
from apps.engine.errors import EngineUnavailable
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.storage import cleaning, tasks
from apps.storage.cleaning import cleaning_lock
from apps.storage.models import CleanUp, Survey
from apps.storage.services import cleanup_request
from tests.deployments.test_deployment_run import deploy

MB = 1_000_000


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (tasks.clean_up, tasks.survey_storage):
        monkeypatch.setattr(task, "delay", lambda: None)


@pytest.fixture
def inside(client: Client, alice: User, fake: FakeEngine) -> Client:
    client.force_login(alice)
    return client


def run(*words: str) -> str:
    out = StringIO()
    call_command("cleanup", *words, stdout=out)
    return out.getvalue()


def dangling(fake: FakeEngine, pk: int = 99) -> StoredImage:
    labels = {"mist.instance": fake.config.instance, "mist.deployment": str(pk)}
    return StoredImage("sha256:left", labels=labels, size=30 * MB)


def litter(fake: FakeEngine, data_dir: Path) -> None:
    """What crashes leave behind, beside what is somebody else's."""
    fake.containers.others = [dangling(fake), StoredImage("sha256:theirs", size=50 * MB)]
    fake.containers.networks["theirs"] = {}
    instance = fake.config.instance
    fake.containers.networks[f"mist-{instance}-77"] = {"mist.instance": instance}
    for path in ("builds/99/a", "repos/99/HEAD", "logs/99.log", "logs/mist.log", "builds/notes/b"):
        (data_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / path).write_text("text")


def test_it_removes_what_nothing_needs_and_nothing_else(
    fake: FakeEngine, web: App, data_dir: Path, settings: Settings
) -> None:
    done = [deploy(web) for _ in range(3)]
    litter(fake, data_dir)
    fake.containers.cache = 900 * MB
    settings.MIST_KEEP_IMAGES, settings.MIST_BUILD_CACHE_MB = 1, 100
    told = run("--dry-run")
    assert "replaced, and 1 newer are kept" in told and "builds/99" in told
    assert len(fake.containers.images) == 3 and (data_dir / "builds/99").exists()
    assert "Removed: 2 images, 1 network, 1 checkout, 1 repository mirror, 1 log." in run()
    assert set(fake.containers.images) == {d.image for d in done[1:]}
    assert [image.id for image in fake.containers.others] == ["sha256:theirs"]
    assert "theirs" in fake.containers.networks and len(fake.containers.networks) == 2
    left = {str(p.relative_to(data_dir)) for p in data_dir.rglob("*") if p.is_file()}
    assert {"logs/mist.log", "builds/notes/b", f"logs/{done[0].pk}.log"} <= left
    assert not {"builds/99/a", "repos/99/HEAD", "logs/99.log"} & left
    row = CleanUp.objects.get()
    cache = 900 * MB - 100 * 1024 * 1024
    files = 12 * 1024  # At the least: three files of a block each.
    assert row.freed >= 20 * MB + 30 * MB + cache + files
    assert "nothing" in run() and "There is nothing to clean up." in run("--dry-run")


def test_half_an_output_that_a_killed_mist_has_left_goes(
    fake: FakeEngine, web: App, data_dir: Path
) -> None:
    done = deploy(web)
    old, new = (data_dir / f"logs/{done.pk}.output.log.{pid}.all" for pid in (4711, 4712))
    for path in (old, new):
        path.write_text("text")
    os.utime(old, (0.0, 0.0))
    assert "Removed: 1 log." in run()
    assert new.exists() and not old.exists()


def test_an_image_that_is_built_and_not_recorded_yet_stays(fake: FakeEngine, web: App) -> None:
    left: list[str] = []

    def clean_while_it_builds() -> None:
        at_work = Deployment.objects.latest("id")
        name = image_name(at_work)
        fake.containers.images[name] = ()
        fake.containers.image_labels[name] = deployment_labels(at_work)
        assert at_work.image == ""
        cleaning.clean_waiting()
        left.extend(fake.containers.images)

    cleanup_request(requested_by=None)
    fake.containers.fail("build", clean_while_it_builds)
    done = deploy(web)
    assert done.status == Status.LIVE and left == [done.image]
    assert CleanUp.objects.get().status == CleanUp.Status.DONE


def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    fake: FakeEngine, web: App, data_dir: Path
) -> None:
    litter(fake, data_dir)
    fake.containers.fail("remove_network", EngineUnavailable("The engine refused a request."))
    told = run()
    assert "1 image, 1 checkout" in told and "Not removed: mist-" in told
    assert not (data_dir / "builds/99").exists()


def test_an_engine_that_does_not_answer_fails_it_in_words(fake: FakeEngine, alice: User) -> None:
    fake.containers.fail("disk", EngineUnavailable("The engine does not answer."), times=2)
    with pytest.raises(CommandError, match="does not answer"):
        run()
    assert CleanUp.objects.get().status == CleanUp.Status.FAILED
    assert Survey.objects.get().problem.startswith("The engine does not answer.")


def test_two_never_clean_at_once(fake: FakeEngine, alice: User) -> None:
    cleanup_request(requested_by=alice)
    with cleaning_lock() as held:
        assert held
        with pytest.raises(CommandError, match="at work"):
            run()
        cleaning.clean_waiting()
        assert CleanUp.objects.get().status == CleanUp.Status.WAITING
    cleaning.clean_waiting()
    assert CleanUp.objects.get().status == CleanUp.Status.DONE


def test_one_whose_process_died_is_told_and_does_not_block_the_next(
    fake: FakeEngine, alice: User
) -> None:
    CleanUp.objects.create(trigger=CleanUp.Trigger.BUTTON, status=CleanUp.Status.RUNNING)
    cleaning.tidy()
    row = CleanUp.objects.get()
    assert row.status == CleanUp.Status.FAILED and "ended while" in row.problem


def test_the_schedule_counts_from_the_last_one(
    fake: FakeEngine, alice: User, settings: Settings
) -> None:
    settings.MIST_CLEANUP_HOURS = 0.0
    cleaning.tidy()
    assert not CleanUp.objects.exists()
    settings.MIST_CLEANUP_HOURS = 24.0
    cleaning.tidy()
    cleaning.tidy()
    assert CleanUp.objects.get().trigger == CleanUp.Trigger.SCHEDULE
    CleanUp.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    cleaning.tidy()
    assert CleanUp.objects.count() == 2


def test_the_page_shows_what_would_go_and_the_button_does_it(
    fake: FakeEngine, web: App, data_dir: Path, inside: Client, alice: User
) -> None:
    deploy(web)
    litter(fake, data_dir)
    assert "Measuring" in inside.get("/storage/").content.decode()
    cleaning.survey_unless_fresh()
    page = inside.get("/storage/").content.decode()
    assert "builds/99" in page and "shop/web" in page and "Volumes are never removed" in page
    assert "of all that build on this engine" in page
    answer = inside.post("/storage/clean/", headers={"HX-Request": "true"}).content.decode()
    assert "begins in a moment" in answer
    assert inside.post("/storage/clean/").status_code == 302
    row = CleanUp.objects.get()
    assert (row.status, row.requested_by) == (CleanUp.Status.WAITING, alice)
    cleaning.clean_waiting()
    page = inside.get("/storage/", headers={"HX-Request": "true"}).content.decode()
    assert "1 image, 1 network, 1 checkout" in page and "By hand, Alice" in page
    assert "Nothing: all that is there is needed" in page


def test_the_page_keeps_what_it_knew_while_the_engine_is_silent(
    fake: FakeEngine, web: App, inside: Client
) -> None:
    deploy(web)
    cleaning.survey_unless_fresh()
    Survey.objects.update(taken_at=timezone.now() - dt.timedelta(hours=1))
    fake.containers.fail("disk", EngineUnavailable("The engine does not answer."))
    cleaning.survey_unless_fresh()
    page = inside.get("/storage/").content.decode()
    assert "The engine does not answer." in page and "shop/web" in page


def test_it_is_for_administrators(client: Client, alice: User, fake: FakeEngine) -> None:
    User.objects.update(role="member")
    client.force_login(User.objects.get())
    assert client.get("/storage/").status_code == 403
    assert client.post("/storage/clean/").status_code == 403
    assert not CleanUp.objects.exists()
    assert 'href="/storage/"' not in client.get("/account/").content.decode()


def test_the_command_prints_json(fake: FakeEngine, web: App, data_dir: Path) -> None:
    litter(fake, data_dir)
    plan = json.loads(run("--dry-run", "--json"))
    assert plan["counts"] == {"image": 1, "network": 1, "checkout": 1, "mirror": 1, "log": 1}
    assert json.loads(run("--json"))["removed"] == plan["counts"]
