"""Ports of the server that lead to an app: each has one holder, and the form says who."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import PermissionDenied
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import InstanceRole, User
from apps.engine.bench import free_ports
from apps.projects.holding_forms import own_ports
from apps.projects.models import App, HostPort, Membership, ProjectRole
from apps.projects.services import app_update, host_port_add

S = "/projects/shop/apps/web/settings/"
ADD = f"{S}ports/add/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def free() -> int:
    return free_ports(1)[0]


def fields(port: int | str, **more: str) -> dict[str, str]:
    return {
        "port": str(port),
        "protocol": "tcp",
        "container_port": "5432",
        "reach": "local",
    } | more


def add(app: App, port: int, protocol: str = "tcp") -> HostPort:
    return host_port_add(
        app=app,
        port=port,
        protocol=protocol,
        container_port=5432,
        reach="local",
        created_by=None,
    )


@pytest.fixture(params=[("tcp", "127.0.0.1"), ("tcp", "0.0.0.0"), ("udp", "127.0.0.1")])
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[int, str]]:
    """A port that this process listens on."""
    protocol, address = request.param
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((address, 0))
        if protocol == "tcp":
            holder.listen()
        yield holder.getsockname()[1], protocol


def test_a_free_port_is_added_for_this_server_only(inside: Client, web: App, free: int) -> None:
    assert f'value="{HostPort.Reach.LOCAL}" selected' not in (
        page := inside.get(S).content.decode()
    )
    # The first choice is what a browser sends when nobody chooses.
    assert page.index('value="local"') < page.index('value="everywhere"')
    assert inside.post(ADD, fields(free)).status_code == 302
    port = HostPort.objects.get()
    assert (port.app, port.port, port.container_port) == (web, free, 5432)
    assert (port.protocol, port.reach) == ("tcp", "local")


@pytest.mark.parametrize("reach", ["local", "everywhere"])
def test_a_port_that_a_program_holds_is_told_with_its_name(
    inside: Client, taken: tuple[int, str], reach: str
) -> None:
    port, protocol = taken
    page = inside.post(ADD, fields(port, protocol=protocol, reach=reach)).content.decode()
    assert 'id="host_port_port_error"' in page and f'value="{port}"' in page
    assert f"(pid {os.getpid()})" in page
    assert not HostPort.objects.exists()


def test_the_port_that_the_running_version_has_may_be_added_again(
    inside: Client, web: App, taken: tuple[int, str]
) -> None:
    port, protocol = taken
    record = {
        "settings": {},
        "ports": {f"{port}/{protocol}": [5432, "local"]},
        "environment": "",
        "key": "",
        "variables": {},
    }
    web.deployments.create(number=1, ref="main", status="live", made_from=record)
    assert inside.post(ADD, fields(port, protocol=protocol)).status_code == 302


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "80a", "1.5"])
def test_what_is_no_port_is_told(inside: Client, port: str) -> None:
    page = inside.post(ADD, fields(port, container_port=port)).content.decode()
    assert 'id="host_port_port_error"' in page and 'id="host_port_container_port_error"' in page


def test_ports_of_mist_itself_are_refused(inside: Client) -> None:
    assert len(own_ports()) == 5
    for port in own_ports():
        page = inside.post(ADD, fields(port)).content.decode()
        assert f"Mist itself uses port {port}." in page


def test_a_port_of_another_app_is_refused_and_its_other_protocol_is_not(
    inside: Client, web: App, free: int
) -> None:
    other = App.objects.create(project=web.project, slug="db", label="db-shop", repository="x")
    add(other, free)
    page = inside.post(ADD, fields(free)).content.decode()
    assert f"shop/db has port {free}/tcp already." in page
    assert inside.post(ADD, fields(free, protocol="udp")).status_code == 302


def test_a_choice_that_is_none_is_refused(inside: Client, free: int) -> None:
    for wrong in ({"protocol": "sctp"}, {"reach": "8.8.8.8"}):
        assert inside.post(ADD, fields(free, **wrong)).status_code == 200
    assert not HostPort.objects.exists()


def test_without_a_gap_and_a_port_exclude_each_other(inside: Client, web: App, free: int) -> None:
    app_update(app=web, release_mode="no-gap")
    page = inside.post(ADD, fields(free)).content.decode()
    assert "Choose another release mode first." in page
    app_update(app=web, release_mode="automatic")
    add(web, free)
    page = inside.post(S, {"repository": web.repository, "release_mode": "no-gap"}).content.decode()
    assert 'id="id_release_mode_error"' in page
    web.refresh_from_db()
    assert web.release_mode == "automatic"


def test_removing_it_makes_it_free_for_others(inside: Client, web: App, free: int) -> None:
    port = add(web, free)
    assert "until the next deployment" in inside.get(f"{S}ports/{port.pk}/remove/").content.decode()
    assert inside.post(f"{S}ports/{port.pk}/remove/").status_code == 302
    assert not HostPort.objects.exists()


# --------------------------------------------------------------------- what reaches the host itself


@pytest.mark.parametrize("role", list(InstanceRole))
@pytest.mark.parametrize("allowed", [False, True])
def test_a_port_below_1024_is_for_owners_where_the_instance_allows_it(
    web: App, settings: Settings, role: InstanceRole, allowed: bool
) -> None:
    settings.MIST_HOST_PORTS_BELOW_1024 = allowed
    person = User.objects.create_user("dev@example.com", name="Dev", role=role)
    Membership.objects.create(project=web.project, user=person, role=ProjectRole.ADMIN)
    client = Client()
    client.force_login(person)
    page = client.post(ADD, fields(1023)).content.decode()
    works = allowed and role == InstanceRole.OWNER
    assert HostPort.objects.filter(port=1023).exists() == works
    assert ("Ports below 1024 are the server" in page) == (not works)
    # The service holds to it without any form.
    HostPort.objects.all().delete()
    with contextlib.nullcontext() if works else pytest.raises(PermissionDenied):
        host_port_add(
            app=web, port=22, protocol="tcp", container_port=22, reach="local", created_by=person
        )


def test_ports_below_1024_are_off_by_default(inside: Client) -> None:
    assert django_settings.MIST_HOST_PORTS_BELOW_1024 is False
    assert "Ports below 1024" in inside.post(ADD, fields(81)).content.decode()
    assert not HostPort.objects.exists()
