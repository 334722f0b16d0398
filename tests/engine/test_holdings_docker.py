"""Volumes and published ports on the real engine."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from apps.engine.bench import free_ports
from apps.engine.data import ContainerSpec, EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.docker import DockerContainers
from apps.engine.errors import StartFailed
from apps.engine.holdings import EVERYWHERE, LOCAL, PublishedPort, VolumeMount
from tests.machine.world import sweep, unique_instance, wait_until

pytestmark = pytest.mark.docker
SERVE = "echo $NAME >/index.html && exec httpd -f -p 5432 -h /"


@pytest.fixture
def instance() -> Iterator[str]:
    name = unique_instance()
    yield name
    sweep(name)


@pytest.fixture
def containers(instance: str, tmp_path: Path) -> Iterator[DockerContainers]:
    engine = DockerContainers(EngineConfig(instance=instance, data_dir=tmp_path))
    engine.ensure_network(f"mist-{instance}-1", labels={"mist.instance": instance})
    yield engine


def spec(
    instance: str,
    name: str,
    script: str,
    *,
    volumes: tuple[VolumeMount, ...] = (),
    ports: tuple[PublishedPort, ...] = (),
) -> ContainerSpec:
    return ContainerSpec(
        name=f"mist-{instance}-{name}",
        image="busybox:latest",
        network=f"mist-{instance}-1",
        env={"NAME": name},
        labels={"mist.instance": instance},
        volumes=volumes,
        ports=ports,
        argv=("sh", "-c", script),
        stop_timeout=0,
    )


def ask(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return str(answer.read().decode().strip())


def answers(port: int) -> bool:
    try:
        return bool(ask(port))
    except OSError:
        return False


def volume_names(client: docker.DockerClient, instance: str) -> list[str]:
    found = client.volumes.list(filters={"label": f"mist.instance={instance}"})
    return sorted(str(volume.name) for volume in found)


def test_data_outlives_its_container(containers: DockerContainers, instance: str) -> None:
    labels = {"mist.instance": instance, "mist.app": "7"}
    mount = VolumeMount(f"mist-{instance}-7-data", "/data", labels)
    client = docker.from_env()
    try:
        first = containers.start(
            spec(instance, "1", "echo kept >/data/file && sleep 60", volumes=(mount,))
        )
        wait_until(
            lambda: b"kept" in client.containers.get(first.id).exec_run("cat /data/file").output,
            "the file",
        )
        containers.remove(first.id)
        assert volume_names(client, instance) == [mount.volume]
        assert client.volumes.get(mount.volume).attrs["Labels"] == labels
        second = containers.start(spec(instance, "2", "cat /data/file; sleep 60", volumes=(mount,)))
        wait_until(lambda: containers.logs(second.id) == ["kept"], "the file in the second")
        command = spec(instance, "3", "cat /data/file", volumes=(mount,))
        said: list[str] = []
        outcome = containers.run_once(command, log=said.append, deadline=Deadline(20))
        assert outcome.exit_code == 0 and "kept" in said
        containers.remove(second.id)
    finally:
        sweep(instance)
        for name in volume_names(client, instance):
            client.volumes.get(name).remove(force=True)
        client.close()


def test_a_port_of_the_server_leads_to_the_container(
    containers: DockerContainers, instance: str
) -> None:
    local, everywhere = free_ports(2)
    ports = (
        PublishedPort(local, 5432, "tcp", LOCAL),
        PublishedPort(everywhere, 5432, "tcp", EVERYWHERE),
        PublishedPort(local, 5432, "udp", LOCAL),
    )
    made = containers.start(spec(instance, "db", SERVE, ports=ports))
    wait_until(lambda: answers(local), "an answer")
    assert ask(local) == "db"
    wait_until(lambda: answers(everywhere), "an answer at the other")
    client = docker.from_env()
    try:
        where = client.containers.get(made.id).attrs["NetworkSettings"]["Ports"]
    finally:
        client.close()
    at = {(kind, one["HostIp"], one["HostPort"]) for kind in where for one in where[kind]}
    assert {
        ("5432/tcp", "127.0.0.1", str(local)),
        ("5432/udp", "127.0.0.1", str(local)),
        ("5432/tcp", "0.0.0.0", str(everywhere)),
    } <= at
    containers.remove(made.id)
    assert not answers(local)


def test_a_port_that_is_taken_is_named(containers: DockerContainers, instance: str) -> None:
    port = free_ports(1)[0]
    wanted = (PublishedPort(port, 5432, "tcp", LOCAL),)
    with socket.socket() as program:
        program.bind(("127.0.0.1", port))
        program.listen()
        with pytest.raises(StartFailed, match=f"^Port {port} of the server is taken"):
            containers.start(spec(instance, "db", SERVE, ports=wanted))
    first = containers.start(spec(instance, "db", SERVE, ports=wanted))
    with pytest.raises(StartFailed, match=f"^Port {port} of the server is taken"):
        containers.start(spec(instance, "other", SERVE, ports=wanted))
    with pytest.raises(StartFailed, match=f"^Port {port} of the server is taken"):
        containers.stop(first.id)
        second = containers.start(spec(instance, "other", SERVE, ports=wanted))
        containers.resume(first.id)
    assert containers.inspect(second.id) is not None
    assert len(containers.list(labels={"mist.instance": instance})) == 2
