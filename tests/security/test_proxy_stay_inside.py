"""What Traefik has for Mist alone is nobody else's to ask: not from other addresses of the machine,
not from the containers of apps, not under the public entry points' names and paths."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import docker
import psutil
import pytest
from docker.models.containers import Container

from apps.engine.base import Engine
from apps.engine.bench import free_ports
from apps.engine.data import ContainerSpec, EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.errors import StartFailed
from apps.engine.labels import PROBE_HEADER, probe_host, probe_labels
from apps.engine.proxy_container import PROXY_LABEL
from apps.engine.real import make_engine
from apps.engine.routes import Route, app_routes
from tests.machine.split_parts import PARTS_IMAGE
from tests.machine.world import sweep, unique_instance, wait_until

pytestmark = pytest.mark.docker
HOST, SERVICE, NAME = "app.example.com", "mist-7-1", "mist-shop-web-1"
INNER_PATHS = ["/api/version", "/api/rawdata", "/api/http/routers", "/dashboard/", "/ping",
               "/metrics", "/debug/pprof/", "/api"]  # fmt: skip
TAKES_OVER = {
    "traefik.http.routers.open.rule": "Host(`open.example.com`)",
    "traefik.http.routers.open.entrypoints": "web",
    "traefik.http.routers.open.service": "api@internal",
}


@dataclass
class Place:
    """A proxy and one app that it leads to."""

    engine: Engine
    app: Container
    client: docker.DockerClient

    @property
    def ports(self) -> tuple[int, int]:
        config = self.engine.config
        return config.probe_port, config.proxy_api_port

    def hears(self, address: str, port: int) -> bool:
        """Whether something answers the app's container there."""
        return knock(self.app, address, port)


def knock(container: Container, address: str, port: int) -> bool:
    words = ["nc", "-w", "2", address, str(port), "-e", "true"]
    return container.exec_run(words).exit_code == 0


def spec_of(engine: Engine, image: str = "busybox:latest", name: str = NAME) -> ContainerSpec:
    network = f"mist-{engine.config.instance}-shop"
    return ContainerSpec(
        name=f"{name}-{engine.config.instance}",
        image=image,
        network=network,
        env={},
        argv=("httpd", "-f", "-p", "8080"),
        labels=probe_labels(
            container_name=name,
            service=SERVICE,
            port=8080,
            network=network,
            instance=engine.config.instance,
        ),
    )


def lead(engine: Engine) -> Container:
    """Start the app and lead its name there."""
    labels = {"mist.instance": engine.config.instance}
    spec = spec_of(engine)
    engine.containers.ensure_network(spec.network, labels=labels)
    made = engine.containers.start(spec)
    routes = app_routes(app="7", service=SERVICE, routes=[Route(HOST)])
    engine.proxy.write_routes("7", routes)
    engine.proxy.wait_for_route(
        router="app-7", service=SERVICE, deadline=Deadline(20, what="The route")
    )
    return docker.from_env().containers.get(made.id)


def config_of(tmp_path: Path, proxy_host: str = "") -> EngineConfig:
    http_port, https_port, probe_port, api_port, mist = free_ports(5)
    return EngineConfig(
        instance=unique_instance(),
        data_dir=tmp_path / "data",
        http_port=http_port,
        https_port=https_port,
        probe_port=probe_port,
        proxy_api_port=api_port,
        dashboard_port=mist,
        bind="0.0.0.0",
        proxy_host=proxy_host,
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Traefik as a process of this machine, its public ports open to everybody."""
    engine = make_engine(config_of(tmp_path))
    engine.proxy.ensure_running()
    try:
        yield Place(engine, lead(engine), docker.from_env())
    finally:
        engine.proxy.stop()
        sweep(engine.config.instance)


def machine_addresses() -> set[str]:
    """All of the machine's IPv4 addresses but the loopback's."""
    found = {
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family.name == "AF_INET"
    }
    return {address for address in found if not address.startswith("127.")}


def answers(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=3)
    try:
        connection.request("GET", "/", headers={"Host": HOST})
        return bool(connection.getresponse().status)
    except OSError:
        return False
    finally:
        connection.close()


def ask(address: str, port: int, host: str, path: str) -> tuple[int, str | None, str]:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader(PROBE_HEADER), answer.read().decode()
    finally:
        connection.close()


def test_other_addresses_of_the_machine_and_containers_reach_the_public_ports_only(
    place: Place,
) -> None:
    public = place.engine.config.http_port
    everywhere = machine_addresses()
    gateway = next(iter(place.app.attrs["NetworkSettings"]["Networks"].values()))["Gateway"]
    assert gateway in everywhere and len(everywhere) > 1
    for address in everywhere:
        # So that the rest of this proves something.
        assert answers(address, public) and place.hears(address, public)
        for port in place.ports:
            assert not answers(address, port), f"{address}:{port} answers"
            assert not place.hears(address, port), f"{address}:{port} answers a container"
    assert all(answers("127.0.0.1", port) for port in place.ports)
    assert not any(place.hears("127.0.0.1", port) for port in place.ports)


def test_nothing_of_them_is_found_under_a_public_name_or_path(place: Place) -> None:
    config = place.engine.config
    inner = probe_host(NAME)
    assert place.engine.proxy.probe(host=inner, path="/").status == 404  # busybox's own
    hosts = [inner, inner.upper(), f"{inner}.", f"{inner}:{config.probe_port}", "localhost",
             "127.0.0.1", f"127.0.0.1:{config.proxy_api_port}", "traefik", "mist.internal", HOST]  # fmt: skip
    for host in hosts:
        for path in ["/", *INNER_PATHS]:
            status, probed, body = ask("127.0.0.1", config.http_port, host, path)
            assert status == 404 and probed is None, f"{host}{path}: {status}"
            # The app's own, and some words for what nobody has.
            assert ("404 Not Found" in body) if host == HOST else len(body) < 60, body
            assert "{" not in body


def test_an_image_cannot_open_them_by_its_labels(place: Place) -> None:
    name = f"mist-tests/labels:{place.engine.config.instance}"
    labels = " ".join(f'"{key}"="{value}"' for key, value in TAKES_OVER.items())
    text = f'FROM busybox\nLABEL {labels} mist.instance="{place.engine.config.instance}"\n'
    place.client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
    try:
        spec = spec_of(place.engine, name, "mist-shop-other-1")
        with pytest.raises(StartFailed, match=r"labels for the proxy: traefik\.http\.routers"):
            place.engine.containers.start(spec)
        with pytest.raises(StartFailed, match="labels for the proxy"):
            place.engine.containers.run_once(
                spec, log=lambda line: None, deadline=Deadline(20, what="The command")
            )
        mine = place.engine.containers.list(labels={"mist.instance": place.engine.config.instance})
        assert [one.id for one in mine] == [place.app.id]
        time.sleep(0.5)
        port = place.engine.config.http_port
        assert ask("127.0.0.1", port, "open.example.com", "/api/version")[0] == 404
    finally:
        place.client.images.remove(name, force=True)


@pytest.fixture
def split(tmp_path: Path) -> Iterator[tuple[Place, Container, Container]]:
    """Traefik in a container, as `compose.yaml` has it, and a part of Mist's beside it."""
    config = config_of(tmp_path, "mist-proxy")
    engine = make_engine(config)
    engine.proxy.prepare()
    client = docker.from_env()
    inside = client.networks.create(f"inside-{config.instance}", check_duplicate=True)
    folder = str(config.data_dir / "traefik")
    traefik = part = None
    # On the machine itself nobody else listens on them meanwhile.
    kept = ExitStack()
    for port in (config.probe_port, config.proxy_api_port):
        kept.enter_context(socket.socket()).bind(("", port))
    try:
        traefik = client.containers.create(
            PARTS_IMAGE,
            [f"--configfile={folder}/traefik.yml"],
            labels={PROXY_LABEL: str(config.data_dir)},
            network_mode="none",
            volumes={folder: {"bind": folder, "mode": "ro"},
                     "/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "ro"}},
        )  # fmt: skip
        client.networks.get("none").disconnect(traefik)
        inside.connect(traefik, aliases=["mist-proxy"])
        traefik.start()
        part = client.containers.run(
            "busybox:latest", ["sleep", "300"], network=inside.name, detach=True
        )
        labels = {"mist.instance": config.instance}
        spec = spec_of(engine)
        engine.containers.ensure_network(spec.network, labels=labels)
        app = client.containers.get(engine.containers.start(spec).id)
        traefik.reload()
        yield Place(engine, app, client), traefik, part
    finally:
        for one in (traefik, part):
            if one is not None:
                one.remove(force=True, v=True)
        kept.close()
        inside.remove()
        sweep(config.instance)


def test_in_a_container_they_answer_mists_own_parts_only(
    split: tuple[Place, Container, Container],
) -> None:
    place, traefik, part = split
    networks = traefik.attrs["NetworkSettings"]["Networks"]
    assert set(networks) >= {f"mist-{place.engine.config.instance}-shop"} and len(networks) == 2
    doors = [one["IPAddress"] for one in networks.values()]
    hears = [one["Gateway"] for one in networks.values()]
    shared = networks[f"mist-{place.engine.config.instance}-shop"]["IPAddress"]
    public = place.engine.config.http_port
    wait_until(lambda: place.hears(shared, public), "Traefik's public port")
    for port in place.ports:
        wait_until(lambda port=port: knock(part, "mist-proxy", port), f"port {port}")  # type: ignore[misc]
        for address in {*doors, *hears, *machine_addresses(), "mist-proxy", traefik.name}:
            assert not place.hears(str(address), port), f"{address}:{port} answers an app"


def test_an_image_cannot_call_itself_the_proxy(
    split: tuple[Place, Container, Container],
) -> None:
    place, _, _ = split
    config = place.engine.config
    name = f"mist-tests/proxy:{config.instance}"
    text = f'FROM busybox\nLABEL {PROXY_LABEL}="{config.data_dir}"\n'
    place.client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
    try:
        made = place.engine.containers.start(spec_of(place.engine, name, "mist-shop-other-1"))
        other = f"mist-{config.instance}-other"
        place.engine.containers.ensure_network(other, labels={"mist.instance": config.instance})
        place.engine.proxy.ensure_running()
        found = place.client.containers.get(made.id).attrs["NetworkSettings"]["Networks"]
        assert set(found) == {f"mist-{config.instance}-shop"}
        place.engine.containers.remove(made.id)
        place.engine.containers.remove_network(other)
    finally:
        place.client.images.remove(name, force=True)
