"""Pulling from a real registry into a real engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from apps.engine.data import EngineConfig, RegistryLogin
from apps.engine.deadline import Deadline
from apps.engine.docker import DockerContainers
from apps.engine.errors import (
    Cancelled,
    EngineError,
    ImageNotFound,
    RegistryDenied,
    RegistryUnreachable,
    TimedOut,
)
from apps.engine.image_names import parse_image_name
from apps.engine.pulling import Pull
from tests.machine.registry import (
    PASSWORD,
    USER,
    Registry,
    serve_registry,
    slow_front,
)
from tests.machine.world import unique_instance, wait_until

pytestmark = pytest.mark.docker


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture
def name(client: docker.DockerClient) -> Iterator[str]:
    """What the image is called here; gone afterwards."""
    made = f"mist/pull-{unique_instance()}:1"
    yield made
    if client.images.list(name=made):
        client.images.remove(made)


@pytest.fixture
def engine(tmp_path: Path) -> DockerContainers:
    return DockerContainers(EngineConfig("testpull", tmp_path / "data", git_localhost=True))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with serve_registry(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Registry]:
    with serve_registry(tmp_path / "private", is_private=True) as made:
        yield made


def pull(
    engine: DockerContainers,
    image: str,
    name: str,
    *,
    login: RegistryLogin | None = None,
    log: list[str] | None = None,
    deadline: Deadline | None = None,
) -> str:
    return engine.pull(
        parse_image_name(image),
        name=name,
        login=login,
        log=(log if log is not None else []).append,
        deadline=deadline or Deadline(60),
    )


def names(client: docker.DockerClient, address: str) -> list[str]:
    """What the engine has from that registry, by tags and digests."""
    found = client.api.images(all=True)
    every = [
        one for row in found for one in (*(row["RepoTags"] or ()), *(row["RepoDigests"] or ()))
    ]
    return [one for one in every if one.startswith(address)]


def test_it_comes_with_its_digest_and_leaves_no_other_name(
    engine: DockerContainers, registry: Registry, client: docker.DockerClient, name: str
) -> None:
    digest = registry.push("team/web:1", "one", extra=300_000)
    log: list[str] = []
    image = f"{registry.address}/team/web:1"
    assert (
        engine.published_digest(parse_image_name(image), login=None, deadline=Deadline(20))
        == digest
    )
    assert pull(engine, image, name, log=log) == digest
    assert engine.exposed_ports(name) == (8000,)
    assert names(client, registry.address) == []
    assert any("layers are here" in line for line in log)
    engine.remove_image(name)
    assert not engine.image_exists(name)


def test_a_digest_is_pulled_whatever_its_tag_means_by_now(
    engine: DockerContainers, registry: Registry, client: docker.DockerClient, name: str
) -> None:
    old = registry.push("team/web:1", "one")
    new = registry.push("team/web:1", "two")
    assert old != new
    assert pull(engine, f"{registry.address}/team/web@{old}", name) == old
    assert pull(engine, f"{registry.address}/team/web:1", name) == new
    assert names(client, registry.address) == []


def test_a_name_that_somebody_gave_stays_what_it_was(
    engine: DockerContainers, registry: Registry, client: docker.DockerClient, name: str
) -> None:
    registry.push("team/web:1", "one")
    image = f"{registry.address}/team/web:1"
    own = client.images.pull(f"{registry.address}/team/web", tag="1")
    digest = registry.push("other/web:1", "two")
    again = f"{registry.address}/other/web:1"
    own.tag(f"{registry.address}/other/web", "1")
    try:
        assert pull(engine, again, name) == digest
        assert client.images.get(again).id == own.id
        assert client.images.get(name).id != own.id
        assert pull(engine, image, name)
        assert client.images.get(image).id == own.id
    finally:
        client.images.remove(image)
        client.images.remove(again)


def test_what_a_killed_mist_left_behind_goes_with_the_next_pull(
    engine: DockerContainers,
    registry: Registry,
    client: docker.DockerClient,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.push("team/web:1", "one")
    image = f"{registry.address}/team/web:1"
    with monkeypatch.context() as dead:
        # Whoever is dead takes nothing away.
        dead.setattr(Pull, "_remove_leftover", lambda self: None)
        pull(engine, image, name)
    assert names(client, registry.address) != []
    pull(engine, image, name)
    assert names(client, registry.address) == []


@pytest.mark.parametrize(
    ("login", "error", "says"),
    [
        (None, RegistryDenied, "does not show the image to everybody"),
        ((USER, "wrong-password"), RegistryDenied, f"refused the login of {USER}"),
    ],
)
def test_a_private_registry_shows_nothing_without_the_right_login(
    engine: DockerContainers,
    private: Registry,
    name: str,
    login: tuple[str, str] | None,
    error: type[EngineError],
    says: str,
) -> None:
    private.push("team/web:1", "one")
    shown = None if login is None else RegistryLogin(private.address, *login)
    with pytest.raises(error, match=says) as caught:
        pull(engine, f"{private.address}/team/web:1", name, login=shown)
    told = f"{caught.value} {caught.value.hint} {caught.value.detail}"
    assert login is None or login[1] not in told
    assert not engine.image_exists(name)


def test_a_private_registry_takes_the_right_login(
    engine: DockerContainers, private: Registry, client: docker.DockerClient, name: str
) -> None:
    digest = private.push("team/web:1", "one")
    login = RegistryLogin(private.address, USER, PASSWORD)
    assert pull(engine, f"{private.address}/team/web:1", name, login=login) == digest
    engine.check_login(login, deadline=Deadline(20))
    wrong = RegistryLogin(private.address, USER, "wrong-password")
    with pytest.raises(RegistryDenied, match=f"refused the login of {USER}"):
        engine.check_login(wrong, deadline=Deadline(20))
    # The next one comes without a login again: the engine keeps none.
    with pytest.raises(RegistryDenied):
        pull(engine, f"{private.address}/team/web:1", name)


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        ("{there}/team/web:2", ImageNotFound, "no team/web with the tag 2"),
        ("{there}/team/none:1", ImageNotFound, "no team/none with the tag 1"),
        ("{there}/team/web@sha256:" + "0" * 64, ImageNotFound, "with the digest sha256:0000"),
        ("{away}/team/web:1", RegistryUnreachable, "does not answer"),
        ("registry.invalid/team/web:1", RegistryUnreachable, "leads nowhere"),
        ("169.254.169.254/latest/meta-data:1", RegistryUnreachable, "link-local or metadata"),
        ("10.192.0.5:8000/team/web:1", RegistryUnreachable, "belongs to the apps"),
        ("127.0.0.1:8082/team/web:1", RegistryUnreachable, "is for Mist itself"),
        ("127.0.0.1:2375/team/web:1", RegistryUnreachable, "is an engine's or a database's"),
    ],
)
def test_what_cannot_be_pulled_is_told_with_its_reason(
    engine: DockerContainers,
    registry: Registry,
    name: str,
    image: str,
    error: type[EngineError],
    says: str,
) -> None:
    registry.push("team/web:1", "one")
    away = "127.0.0.1:9"
    with pytest.raises(error, match=says) as caught:
        pull(engine, image.format(there=registry.address, away=away), name)
    assert caught.value.hint
    assert not engine.image_exists(name)


def test_this_machines_own_registry_is_asked_only_where_that_is_allowed(
    tmp_path: Path, registry: Registry, name: str
) -> None:
    registry.push("team/web:1", "one")
    engine = DockerContainers(EngineConfig("testpull", tmp_path / "data"))
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(RegistryUnreachable, match="it is the server itself") as caught:
            pull(engine, f"{host}:{registry.port}/team/web:1", name)
        assert "MIST_GIT_LOCALHOST" in caught.value.hint
    login = RegistryLogin(registry.address, USER, PASSWORD)
    with pytest.raises(RegistryUnreachable):
        engine.check_login(login, deadline=Deadline(5))


def test_a_cancelled_pull_stops_in_the_engine_too(
    engine: DockerContainers, registry: Registry, client: docker.DockerClient, name: str
) -> None:
    registry.push("team/web:1", "one", extra=500_000)
    cancelled = threading.Event()
    with slow_front(registry) as front:
        problems: list[EngineError] = []

        def work() -> None:
            try:
                pull(
                    engine,
                    f"{front.address}/team/web:1",
                    name,
                    deadline=Deadline(60, cancelled=cancelled.is_set),
                )
            except EngineError as error:
                problems.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(front.began.is_set, "the first byte of a layer")
        cancelled.set()
        thread.join(60)
        assert not thread.is_alive() and isinstance(problems[0], Cancelled)
        wait_until(front.left.is_set, "the end of the engine's own download")
    assert not engine.image_exists(name) and names(client, front.address) == []


def test_a_registry_that_says_nothing_costs_no_more_than_the_time_there_is(
    engine: DockerContainers, registry: Registry, name: str
) -> None:
    registry.push("team/web:1", "one", extra=500_000)
    with slow_front(registry) as front, pytest.raises(TimedOut, match="took longer"):
        pull(
            engine,
            f"{front.address}/team/web:1",
            name,
            deadline=Deadline(2, what="The pull"),
        )
