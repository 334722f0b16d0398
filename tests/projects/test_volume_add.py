"""An app's volumes: what may be one, and that no data is lost with its row."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.projects.forms import AppForm
from apps.projects.holding_forms import HostPortForm, VolumeForm
from apps.projects.models import App, Volume
from apps.projects.services import volume_add

S = "/projects/shop/apps/web/settings/"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def stored(app: App) -> dict[str, str]:
    return {v.name: v.path for v in Volume.objects.filter(app=app)}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("/data", "/data"),
        ("//var//lib/app/", "/var/lib/app"),
        ("/processes", "/processes"),
        ("/var/run/docker", "/var/run/docker"),
    ],
)
def test_a_path_is_kept_in_its_plain_form(inside: Client, web: App, typed: str, kept: str) -> None:
    assert inside.post(f"{S}volumes/add/", {"name": "data", "path": typed}).status_code == 302
    assert stored(web) == {"data": kept}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "data",
        "/",
        "///",
        "/data/..",
        "/./data",
        "/data\\x",
        "/a b",
        "/a\nb",
        "/proc",
        "//proc/1",
        "/sys/fs",
        "/dev",
        "/dev/shm",
        "/var/run/docker.sock",
        "/run/docker.sock/x",
        "/" + "a" * 250,
    ],
)
def test_a_bad_path_is_told_beside_its_field_and_nothing_typed_is_lost(
    inside: Client, web: App, path: str
) -> None:
    answer = inside.post(f"{S}volumes/add/", {"name": "keepme", "path": path})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="volume_path_error"' in page and 'value="keepme"' in page
    assert stored(web) == {}


@pytest.mark.parametrize("name", ["", "Data", "a/b", "-a", "a b", "a:b", "x" * 41])
def test_a_bad_name_is_told(inside: Client, web: App, name: str) -> None:
    page = inside.post(f"{S}volumes/add/", {"name": name, "path": "/data"}).content.decode()
    assert 'id="volume_name_error"' in page and 'value="/data"' in page
    assert stored(web) == {}


def test_neither_name_nor_path_is_taken_twice(inside: Client, web: App) -> None:
    volume_add(app=web, name="data", path="/data", created_by=None)
    page = inside.post(f"{S}volumes/add/", {"name": "data", "path": "/data/"}).content.decode()
    assert "There is a volume data already." in page
    assert "The volume data is at /data already." in page
    other = App.objects.create(project=web.project, slug="api", label="api-shop", repository="x")
    assert volume_add(app=other, name="data", path="/data", created_by=None).pk


def test_removing_it_says_that_the_data_stays_and_how_to_erase_it(inside: Client, web: App) -> None:
    volume = volume_add(app=web, name="data", path="/data", created_by=None)
    name = volume.volume_name
    assert name.startswith("mist-") and name.endswith(f"-{web.pk}-data")
    question = inside.get(f"{S}volumes/{volume.pk}/remove/").content.decode()
    assert "The data stays on the server" in question and f"docker volume rm {name}" in question
    assert stored(web) == {"data": "/data"}
    page = inside.post(f"{S}volumes/{volume.pk}/remove/", follow=True).content.decode()
    assert f"Its data stays in {name}." in page
    assert stored(web) == {}


def test_deleting_the_app_names_the_volumes_that_stay(inside: Client, web: App) -> None:
    assert "docker volume rm" not in inside.get(S).content.decode().split('id="delete"')[1]
    names = [
        volume_add(app=web, name=name, path=f"/{name}", created_by=None).volume_name
        for name in ("data", "media")
    ]
    page = inside.get(S).content.decode().split('id="delete"')[1]
    assert "docker volume rm " + " ".join(names) in page


def test_a_volume_of_another_app_is_not_there(inside: Client, web: App) -> None:
    other = App.objects.create(project=web.project, slug="api", label="api-shop", repository="x")
    volume = volume_add(app=other, name="data", path="/data", created_by=None)
    assert inside.post(f"{S}volumes/{volume.pk}/remove/").status_code == 404
    assert stored(other) == {"data": "/data"}


@pytest.mark.parametrize(
    "name",
    ["/", "/etc", "/etc:/data", "..", "../../etc", "~", "etc:rw", "C:\\", "/var/run/docker.sock",
     "data:/data:ro", "data,type=bind", "data\n"],
)  # fmt: skip
def test_a_volume_never_mounts_a_folder_of_the_host(inside: Client, web: App, name: str) -> None:
    """Docker takes a name with a slash, and `source:path` in one word, for a folder of the host."""
    inside.post(f"{S}volumes/add/", {"name": name, "path": "/data"})
    # A line break at the end of what was typed is cut off before the name is checked.
    assert stored(web) == ({"data": "/data"} if name == "data\n" else {})
    for volume in Volume.objects.all():
        assert re.fullmatch(r"mist-[a-z0-9]+-[0-9]+-[a-z0-9-]+", volume.volume_name)


@pytest.mark.parametrize(
    "path", ["/data:/etc", "/data:ro", "/data,readonly", "/data:/x:rw,z", "/run/docker.sock"]
)
def test_a_path_in_the_container_carries_no_option_of_a_mount(
    inside: Client, web: App, path: str
) -> None:
    inside.post(f"{S}volumes/add/", {"name": "data", "path": path})
    assert stored(web) == {}


@pytest.mark.parametrize(
    "field",
    ["privileged", "network_mode", "network", "pid_mode", "cap_add", "devices", "volumes", "binds",
     "mounts", "security_opt", "userns_mode", "runtime", "ipc_mode", "host_path"],
)  # fmt: skip
def test_no_form_takes_a_privileged_option(inside: Client, web: App, field: str) -> None:
    """Neither the model nor a form has a field for it, and what is sent besides is not kept."""
    assert field not in {f.name for f in App._meta.concrete_fields}
    assert field not in AppForm(project=web.project, instance=web).fields
    for form in (VolumeForm(app=web), HostPortForm(app=web)):
        assert field not in form.fields
