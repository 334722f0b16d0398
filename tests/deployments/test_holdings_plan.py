"""What an app holds, as data: into its container, into the record, and as a reason to stop first."""

from __future__ import annotations

import json

import pytest

from apps.deployments.changes import difference, record
from apps.deployments.holdings import Holdings, holdings_of, holdings_then, stops_first
from apps.deployments.models import Deployment
from apps.deployments.planning import command_spec, container_spec
from apps.engine.holdings import EVERYWHERE, LOCAL, PublishedPort
from apps.projects.models import App
from apps.projects.services import host_port_add, volume_add

BEFORE = Holdings({"data": "/data", "old": "/old"}, {"5432/tcp": (5432, "local")})
NOW = Holdings(
    {"data": "/srv", "new": "/new"}, {"5432/tcp": (5433, "local"), "53/udp": (53, "everywhere")}
)


def test_the_record_names_what_was_added_moved_and_removed() -> None:
    app = App(pk=7, repository="x")
    before, now = record(app, [], BEFORE), record(app, [], NOW)
    assert [str(change) for change in difference(before, now)] == [
        "Volume data, moved from /data to /srv",
        "Volume new, added at /new",
        "Volume old, removed",
        "Port 53/udp, added",
        "Port 5432/tcp, changed",
    ]
    assert difference(now, json.loads(json.dumps(now))) == []
    assert holdings_then(json.loads(json.dumps(now))) == NOW


def test_a_record_from_before_there_were_volumes_held_nothing() -> None:
    app = App(pk=7, repository="x")
    old = record(app, [])
    del old["volumes"], old["ports"]
    assert difference(old, record(app, [])) == []
    assert holdings_then(old) == Holdings()
    assert next(c.name for c in difference(old, record(app, [], BEFORE))) == "Volume data"


def test_the_container_gets_all_of_it_and_a_command_the_volumes_only(web: App) -> None:
    deployment = Deployment(pk=9, app=web, number=1, image="image")
    spec = container_spec(deployment, port=8000, variables=[], held=NOW)
    assert [(m.volume.rpartition("-")[2], m.path) for m in spec.volumes] == [
        ("data", "/srv"),
        ("new", "/new"),
    ]
    assert all(f"-{web.pk}-" in m.volume for m in spec.volumes)
    assert {m.labels["mist.app"] for m in spec.volumes} == {str(web.pk)}
    assert spec.ports == (
        PublishedPort(53, 53, "udp", EVERYWHERE),
        PublishedPort(5432, 5433, "tcp", LOCAL),
    )
    command = command_spec(deployment, "migrate", port=8000, variables=[], held=NOW)
    assert (command.volumes, command.ports) == (spec.volumes, ())


@pytest.mark.parametrize(
    ("mode", "volumes", "port", "reason"),
    [
        ("automatic", (), False, ""),
        ("automatic", ("data",), False, "it holds the volume data"),
        ("automatic", ("a", "b", "c"), False, "it holds the volumes a, b and c"),
        ("automatic", ("data",), True, "it holds the volume data and port 5432/tcp"),
        ("automatic", (), True, "it holds port 5432/tcp"),
        ("no-gap", ("data",), False, ""),
        ("no-gap", ("data",), True, "it holds port 5432/tcp"),
        ("stop", (), False, "its release mode says so"),
    ],
)
def test_what_cannot_be_held_twice_stops_first(
    web: App, mode: str, volumes: tuple[str, ...], port: bool, reason: str
) -> None:
    web.release_mode = mode
    for name in volumes:
        volume_add(app=web, name=name, path=f"/{name}", created_by=None)
    if port:
        host_port_add(
            app=web, port=5432, protocol="tcp", container_port=5432, reach="local", created_by=None
        )
    assert stops_first(web) == reason
    assert set(holdings_of(web).volumes) == set(volumes)
