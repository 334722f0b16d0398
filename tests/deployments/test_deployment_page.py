"""The page of one deployment, its log, and the lists of deployments."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import observation
from apps.deployments.logs import log_path
from apps.deployments.models import UNFINISHED, Deployment, Status
from apps.deployments.queueing import next_number
from apps.deployments.services import deployment_request
from apps.deployments.stages import rail
from apps.engine.base import Engine
from apps.projects.models import App

A = "/projects/shop/apps/web/"
ONE = f"{A}deployments/1/"
STAMP = 1_767_225_600_000


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def make(app: App, status: str, **fields: object) -> Deployment:
    values: dict[str, object] = {"ref": "main", "port": 8000, "started_at": timezone.now()} | fields
    return Deployment.objects.create(app=app, number=next_number(app), status=status, **values)


def write_log(deployment: Deployment, lines: list[str], stage: str = "building") -> Path:
    path = log_path(deployment.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(f"{STAMP} {stage} {line}\n" for line in lines)
    return path


# ------------------------------------------------------------------------------------------ pages


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_a_page(inside: Client, web: App, data_dir: Path, status: Status) -> None:
    make(web, status, failed_stage="building" if status == Status.FAILED else "")
    for headers in ({}, {"HX-Request": "true"}):
        page = inside.get(ONE, headers=headers).content.decode()
        assert page.count("data-stage=") == 7
        is_unfinished = status in UNFINISHED
        assert ("Cancel deployment" in page) is is_unfinished
        assert ("Deploy again" in page) is not is_unfinished
        assert ('http-equiv="refresh"' in page) is (is_unfinished and not headers)
        assert ("data-live=" in page) is (not headers)


def test_it_says_why_it_failed_and_what_still_serves(
    inside: Client, web: App, data_dir: Path
) -> None:
    make(web, Status.LIVE)
    make(
        web,
        Status.FAILED,
        failed_stage="building",
        failure="Build step 4 failed.",
        failure_hint="Add the package.",
        failure_detail="\x1b[31mNo module\x1b[0m <named> x",
    )
    page = inside.get(f"{A}deployments/2/").content.decode()
    assert "Build step 4 failed." in page and "Add the package." in page
    assert "Deployment #1 still serves" in page
    assert '<span class="a-red">No module</span> &lt;named&gt; x' in page


def test_a_stopped_version_is_not_said_to_serve(inside: Client, web: App, data_dir: Path) -> None:
    make(web, Status.LIVE)
    make(web, Status.FAILED, failure="It broke.")
    App.objects.filter(pk=web.pk).update(wanted="stopped")
    assert "still serves" not in inside.get(f"{A}deployments/2/").content.decode()


def test_a_waiting_one_tells_its_place(inside: Client, web: App, data_dir: Path) -> None:
    make(web, Status.QUEUED)
    make(web, Status.QUEUED)
    assert "next in line" in inside.get(ONE).content.decode()
    assert "number 2 in line" in inside.get(f"{A}deployments/2/").content.decode()


def test_a_silent_engine_is_said_on_every_page_until_it_answers(
    inside: Client, web: App, engine: Engine
) -> None:
    make(web, Status.QUEUED)
    words = "The Docker engine does not answer."
    observation.note_engine(words)
    assert words in inside.get("/").content.decode()
    assert words in inside.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "as soon as the engine does" in inside.get(ONE).content.decode()
    observation.note_engine("")
    assert words not in inside.get("/").content.decode()


def test_unknown_numbers_are_not_there(inside: Client, web: App, data_dir: Path) -> None:
    make(web, Status.LIVE)
    for path in ("deployments/2/", "deployments/2/log.txt", "deployments/2/log/"):
        assert inside.get(A + path).status_code == 404
    assert inside.post(f"{A}deployments/2/cancel/").status_code == 404


def test_cancelling_ends_one_that_waits(inside: Client, web: App, alice: User) -> None:
    deployment_request(app=web, requested_by=alice)
    assert inside.get(f"{ONE}cancel/").status_code == 405
    page = inside.post(f"{ONE}cancel/", follow=True).content.decode()
    assert Deployment.objects.get().status == Status.CANCELLED
    assert "By Alice" in page
    page = inside.post(f"{ONE}cancel/", follow=True).content.decode()
    assert "was over already" in page


def test_a_version_that_drains_is_named_and_it_is_too_late_to_cancel(
    inside: Client, web: App
) -> None:
    make(web, Status.RETIRED)
    live = make(web, Status.LIVE)
    address = f"{A}deployments/{live.number}/"
    assert "Draining" not in inside.get(address).content.decode()
    Deployment.objects.filter(pk=live.pk).update(owner="worker")
    page = inside.get(address).content.decode()
    assert "Draining #1" in page and "Cancel deployment" not in page
    page = inside.post(f"{address}cancel/", follow=True).content.decode()
    assert "too late to cancel" in page
    live.refresh_from_db()
    assert live.status == Status.LIVE and live.cancel_requested_at is None


# --------------------------------------------------------------------------------------- deploying


def test_deploying_leads_to_its_page(inside: Client, web: App, alice: User) -> None:
    answer = inside.post(f"{A}deploy/")
    assert answer["Location"] == ONE
    made = Deployment.objects.get()
    assert (made.ref, made.no_cache, made.requested_by) == ("main", False, alice)


def test_another_commit_is_deployed_without_the_cache(inside: Client, web: App) -> None:
    inside.post(f"{A}deploy/", {"ref": "v1.2", "no_cache": "on"})
    made = Deployment.objects.get()
    assert (made.ref, made.no_cache) == ("v1.2", True)


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "HEAD", "a b", "refs/heads/x"])
def test_a_ref_that_is_none_is_told_and_kept(inside: Client, web: App, ref: str) -> None:
    answer = inside.post(f"{A}deploy/", {"ref": ref})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'role="alert"' in page and f'value="{ref}"' in page
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(
    ("path", "wanted", "restart"),
    [("stop/", "stopped", False), ("start/", "running", False), ("restart/", "running", True)],
)
def test_starting_and_stopping_is_wished(
    inside: Client, web: App, path: str, wanted: str, restart: bool
) -> None:
    inside.get(A + path)
    web.refresh_from_db()
    assert not web.needs_apply
    assert inside.post(A + path)["Location"] == A
    web.refresh_from_db()
    assert (web.wanted, web.restart_requested, web.needs_apply) == (wanted, restart, True)


def test_long_lists_have_pages(inside: Client, web: App) -> None:
    for _ in range(51):
        make(web, Status.RETIRED)
    for path in (f"{A}deployments/", "/deployments/"):
        first = inside.get(path).content.decode()
        second = inside.get(path, {"page": 2}).content.decode()
        assert first.count('class="row"') == 50 and "1 to 50 of 51" in first
        assert second.count('class="row"') == 1


# -------------------------------------------------------------------------------------------- logs


def test_the_page_holds_the_end_of_a_long_log(inside: Client, web: App, data_dir: Path) -> None:
    path = write_log(make(web, Status.BUILDING), [f"line {n}" for n in range(1, 2_501)])
    page = inside.get(ONE).content.decode()
    assert page.count('class="ln"') == 2_000
    assert 'id="L500"' not in page and 'id="L501"' in page and 'id="L2500"' in page
    assert "500 earlier lines" in page
    assert f"&quot;offset&quot;: {path.stat().st_size}, &quot;number&quot;: 2500" in page


def test_a_half_written_line_is_left_for_later(inside: Client, web: App, data_dir: Path) -> None:
    path = write_log(make(web, Status.BUILDING), ["whole"])
    size = path.stat().st_size
    with path.open("a") as file:
        file.write(f"{STAMP} building ha")
    page = inside.get(ONE).content.decode()
    assert page.count('class="ln"') == 1
    assert f"&quot;offset&quot;: {size}," in page


def test_log_lines_are_text_never_markup(inside: Client, web: App, data_dir: Path) -> None:
    line = "<script>alert(1)</script> \x1b[1;32m<b>ok</b>\x1b[0m \x1b]0;title\x07\x1b[2K\x00end"
    write_log(make(web, Status.BUILDING), [line])
    page = inside.get(ONE).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page
    assert '<span class="a-bold a-green">&lt;b&gt;ok&lt;/b&gt;</span>' in page
    assert "\x1b" not in page and "title" not in page.split("<ol>")[-1]


def test_a_stage_that_began_again_has_an_id_of_its_own(
    inside: Client, web: App, data_dir: Path
) -> None:
    deployment = make(web, Status.BUILDING)
    for stage in ("cloning", "building", "cloning", "building"):
        write_log(deployment, ["x"], stage)
    page = inside.get(ONE).content.decode()
    for name in ("cloning", "building", "cloning-2", "building-2"):
        assert page.count(f'id="stage-{name}"') == 1


def test_chunks_go_on_where_the_last_one_ended(inside: Client, web: App, data_dir: Path) -> None:
    write_log(make(web, Status.BUILDING), [f"line {n}" for n in range(1, 2_301)])
    seen: list[int] = []
    place: dict[str, int] = {}
    more = True
    while more:
        chunk = inside.get(f"{ONE}log/", place).json()
        seen += [line[0] for line in chunk["lines"]]
        place, more = chunk["place"], chunk["more"]
    assert seen == list(range(1, 2_301))
    line = inside.get(f"{ONE}log/").json()["lines"][0]
    assert line == [1, STAMP, "building", "", "line 1"]


@pytest.mark.parametrize("offset", ["-1", "x", "9" * 30, "1e3", "٣", ""])
def test_a_place_that_is_none_is_the_beginning(
    inside: Client, web: App, data_dir: Path, offset: str
) -> None:
    write_log(make(web, Status.BUILDING), ["one"])
    chunk = json.loads(inside.get(f"{ONE}log/", {"offset": offset, "number": offset}).content)
    assert [line[0] for line in chunk["lines"]] == [1]


def test_the_whole_log_is_a_text(inside: Client, web: App, data_dir: Path) -> None:
    write_log(make(web, Status.LIVE), [f"line {n}" for n in range(1_200)])
    answer = inside.get(f"{ONE}log.txt")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert len(text.splitlines()) == 1_200
    assert text.startswith("2026-01-01T00:00:00Z building  line 0\n")


# -------------------------------------------------------------------------------------------- rail


def test_the_rail_shows_how_far_it_came(web: App) -> None:
    now = time.time()
    deployment = make(
        web, Status.BUILDING, stages={"cloning": [now - 12, now - 10], "building": [now - 10, None]}
    )
    stages = rail(deployment, now=now)
    assert [s.state for s in stages] == ["done", "done", "active"] + ["waiting"] * 4
    assert stages[1].seconds == pytest.approx(2)
    assert stages[2].seconds == pytest.approx(10)


@pytest.mark.parametrize(
    ("status", "stage", "states"),
    [
        (Status.FAILED, "checking", ["done"] * 4 + ["failed"] + ["skipped"] * 2),
        (Status.CANCELLED, "building", ["done"] * 2 + ["skipped"] * 5),
        (Status.CANCELLED, "", ["skipped"] * 7),
        (Status.LIVE, "", ["done"] * 7),
        (Status.RETIRED, "", ["done"] * 7),
        (Status.QUEUED, "", ["active"] + ["waiting"] * 6),
    ],
)
def test_the_rail_ends_where_the_work_ended(
    web: App, status: Status, stage: str, states: list[str]
) -> None:
    deployment = make(web, status, failed_stage=stage)
    assert [s.state for s in rail(deployment, now=time.time())] == states
