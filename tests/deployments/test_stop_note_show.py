"""Before a button is pressed that stops the running version, its page says so."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments.models import Deployment, Status
from apps.projects.models import App
from apps.projects.services import host_port_add, volume_add

APP = "/projects/shop/apps/web/"
NOTE = "stops the running version first: it holds the volume data."


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    volume_add(app=web, name="data", path="/data", created_by=None)
    for number, status in ((1, Status.RETIRED), (2, Status.LIVE)):
        made = {"settings": {}, "environment": "", "key": "", "variables": {}}
        Deployment.objects.create(
            app=web, number=number, ref="main", status=status, image="image", made_from=made
        )
    App.objects.update(observed=App.Observed.RUNNING)
    return client


PAGES = ["", "deployments/", "environment/", "domains/", "settings/", "deployments/2/"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_that_can_deploy_says_so(inside: Client, path: str) -> None:
    page = inside.get(APP + path).content.decode()
    assert f"Deploying {NOTE} Expect a gap of a few seconds." in page
    part = inside.get(APP + path, headers={"HX-Request": "true"}).content.decode()
    assert NOTE in part
    Deployment.objects.filter(number=1).update(gap_seconds=2.345)
    page = inside.get(APP + path).content.decode()
    assert "Expect a gap of a few seconds, the last one took 2.3 s." in page


def test_the_question_about_a_rollback_says_so(inside: Client) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        page = inside.get(f"{APP}deployments/1/rollback/", headers=headers).content.decode()
        assert f"Rolling back {NOTE}" in page


@pytest.mark.parametrize(
    "fields",
    [{"release_mode": "no-gap"}, {"wanted": "stopped"}, {"observed": "none"}],
)
def test_where_nothing_has_to_stop_nothing_is_said(inside: Client, fields: dict[str, str]) -> None:
    App.objects.update(**fields)
    assert "stops the running version first" not in inside.get(APP).content.decode()


def test_lists_and_the_palette_say_so_in_short(inside: Client, web: App) -> None:
    def said() -> tuple[bool, bool]:
        row = inside.get("/projects/shop/").content.decode()
        palette = inside.get("/palette/?q=deploy web").content.decode()
        return "stops it first" in row, "main, stops it first" in palette

    assert said() == (True, True)
    App.objects.update(release_mode=App.ReleaseMode.NO_GAP)
    assert said() == (False, False)
    host_port_add(
        app=web, port=5432, protocol="tcp", container_port=1, reach="local", created_by=None
    )
    assert said() == (True, True)
    App.objects.update(wanted=App.Wanted.STOPPED)
    assert said() == (False, False)
