"""What is more than a request and its answer passes the proxy as it is, rules or not."""

from __future__ import annotations

import functools
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from apps.deployments import reconciliation
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_stop
from apps.domains.rule_services import rules_change, user_save
from apps.engine.process import living_pid
from apps.projects.models import App
from apps.projects.services import app_create, app_update
from tests.machine.visitors import APP, DOCKERFILE, ask, basic, mist_pages, post, web_socket
from tests.machine.world import World, sweep, wait_until

pytestmark = pytest.mark.docker
PASSWORD = "correct-horse"
MB = 1024 * 1024
RULES: dict[str, Any] = {
    "compresses": True,
    "headers": [["X-Frame-Options", "DENY"]],
    "allowed_networks": ["127.0.0.0/8"],
    "rate_average": 10_000,
    "rate_burst": 10_000,
    "body_limit_mb": 2_000,
}
"""All that an open app can have."""
H2C_DOCKERFILE = """FROM node:20-slim
COPY . /app
EXPOSE 50051
CMD ["node", "/app/server.js"]
"""
# Speaks HTTP/2 alone, as gRPC servers do: messages with a head of five bytes, and how it ended in
# the trailers.
H2C_SERVER = """const http2 = require('node:http2');
http2.createServer().on('stream', (stream, headers) => {
  if (headers[':method'] === 'GET') { stream.respond({':status': 200}); stream.end('well'); return; }
  stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true});
  stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0', 'grpc-message': 'fine'}));
  stream.on('data', (piece) => stream.write(piece));
  stream.on('end', () => stream.end());
}).listen(50051);
"""
# Sends the second message only when the first has come back: both ways are open at once.
H2C_CLIENT = """const http2 = require('node:http2');
const [port, host, user] = process.argv.slice(2);
const framed = (text) => {
  const head = Buffer.alloc(5); head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
};
const session = http2.connect(`http://127.0.0.1:${port}`);
const stream = session.request({
  ':method': 'POST', ':path': '/echo.Echo/Talk', ':authority': host,
  'content-type': 'application/grpc', te: 'trailers', ...(user ? {authorization: user} : {}),
});
const seen = {messages: []};
stream.on('response', (headers) => { seen.status = headers[':status']; seen.kind = headers['content-type']; });
stream.on('trailers', (trailers) => { seen.trailers = trailers['grpc-status'] + ' ' + trailers['grpc-message']; });
stream.on('data', (piece) => {
  seen.messages.push(piece.subarray(5).toString());
  if (seen.messages.length === 1) stream.write(framed('second')); else stream.end();
});
stream.on('close', () => { console.log(JSON.stringify(seen)); process.exit(0); });
setTimeout(() => { console.log(JSON.stringify(seen)); process.exit(1); }, 20000);
stream.write(framed('first'));
"""


def made(world: World, files: dict[str, str], **settings: Any) -> App:
    origin = world.git.create("samples/web")
    origin.commit(files, "First version")
    return app_create(
        project=world.project, slug="web", repository=origin.url, created_by=None, **settings
    )


@pytest.fixture
def app(world: World) -> Iterator[App]:
    try:
        found = made(world, {"Dockerfile": DOCKERFILE, "app.py": APP}, port=8080)
        assert world.deploy(found).status == Status.LIVE
        yield found
    finally:
        sweep(world.instance)


def with_rules(world: World, app: App) -> None:
    rules_change(app=app, domain=None, **RULES)
    reconciliation.apply_wishes()
    wait_until(lambda: "X-Frame-Options" in ask(world, app.host).headers, "the rules")


def test_a_web_socket_is_open_in_both_directions(world: World, app: App) -> None:
    with web_socket(world, app.host) as say:
        assert [say(b"one"), say(b"two")] == [b"one", b"two"]
        # It stays open while rules come, and new ones open with them.
        with_rules(world, app)
        user_save(app=app, domain=None, name="alice", password=PASSWORD, by=None)
        reconciliation.apply_wishes()
        wait_until(lambda: ask(world, app.host).status == 401, "the password")
        assert say(b"three") == b"three"
    with pytest.raises(AssertionError, match="401"), web_socket(world, app.host):
        pass
    with web_socket(world, app.host, Authorization=basic("alice", PASSWORD)) as say:
        assert say(b"four") == b"four"


def test_a_web_socket_of_an_app_that_is_away_is_told_so(world: World, app: App) -> None:
    app_stop(app=app)
    reconciliation.apply_wishes()
    wait_until(lambda: ask(world, app.host).status == 503, "the end")
    with (
        mist_pages(world),
        pytest.raises(AssertionError, match="503"),
        web_socket(world, app.host),
    ):
        pass


@pytest.mark.parametrize("has_rules", [False, True])
def test_an_event_arrives_when_it_is_sent(world: World, app: App, has_rules: bool) -> None:
    if has_rules:
        with_rules(world, app)
    connection = http.client.HTTPConnection("127.0.0.1", world.engine.config.http_port, timeout=30)
    try:
        headers = {"Host": app.host, "Accept-Encoding": "gzip, br, zstd"}
        connection.request("GET", "/events", headers=headers)
        answer = connection.getresponse()
        assert answer.getheader("Content-Encoding") is None
        # The app sends the next one when it is asked to: whoever kept one would wait for ever.
        for number in range(3):
            assert answer.read1() == b"data: %d\n\n" % number
            assert ask(world, app.host, "/next").status == 200
    finally:
        connection.close()


def test_a_gigabyte_goes_through_without_being_kept(world: World, app: App) -> None:
    with_rules(world, app)
    pid = living_pid(world.engine.config.data_dir / "traefik" / "traefik.pid")
    assert pid is not None
    proxy = psutil.Process(pid)
    piece, pieces = bytes(4 * MB), 256
    before = proxy.memory_info().rss
    most = [before]

    def body() -> Iterator[bytes]:
        for number in range(pieces):
            if number % 16 == 0:
                most.append(proxy.memory_info().rss)
            yield piece

    began = time.time()
    answer = post(world, app.host, body(), Content_Length=str(len(piece) * pieces))
    ended = time.time()
    assert answer.status == 200 and answer.seen["bytes"] == len(piece) * pieces
    assert max(most) - before < 64 * MB, f"{before // MB} MB grew to {max(most) // MB} MB"
    # The app had the first piece long before the last one was sent.
    assert answer.seen["first"] - began < (ended - began) / 2
    print(f"1 GB in {ended - began:.1f} s, {before // MB} MB, {max(most) // MB} MB at most")


def test_a_body_without_a_length_and_a_limit_goes_through_as_it_comes(
    world: World, app: App
) -> None:
    def has_got(count: int) -> bool:
        return ask(world, app.host, "/got").body == str(count).encode()

    def slowly() -> Iterator[bytes]:
        for number in range(1, 4):
            yield b"x" * 1000
            # Only then comes the next one.
            wait_until(functools.partial(has_got, number * 1000), "the app having the piece")

    assert post(world, app.host, slowly()).seen["bytes"] == 3000


def test_grpc_passes_both_ways_with_its_trailers(
    world: World, docker_client: docker.DockerClient
) -> None:
    files = {"Dockerfile": H2C_DOCKERFILE, "server.js": H2C_SERVER, "client.js": H2C_CLIENT}
    whole = {"messages": ["first", "second"], "status": 200, "kind": "application/grpc"}
    try:
        app = made(world, files, port=50051, health_start_seconds=5)
        # As HTTP/1.1 its server understands nothing.
        failed = world.deploy(app)
        assert failed.status == Status.FAILED
        app_update(app=app, protocol=App.Protocol.H2C, health_start_seconds=60)
        live = world.deploy(app)
        assert live.status == Status.LIVE, live.failure
        wait_until(lambda: ask(world, app.host).body == b"well", "HTTP/1.1 of visitors")
        seen = talk(world, docker_client, live)
        assert seen == {**whole, "trailers": "0 fine"}
        with_rules(world, app)
        user_save(app=app, domain=None, name="alice", password=PASSWORD, by=None)
        reconciliation.apply_wishes()
        wait_until(lambda: ask(world, app.host).status == 401, "the password")
        assert talk(world, docker_client, live)["status"] == 401
        seen = talk(world, docker_client, live, basic("alice", PASSWORD))
        assert seen == {**whole, "trailers": "0 fine"}
    finally:
        sweep(world.instance)


def talk(
    world: World, client: docker.DockerClient, live: Deployment, user: str = ""
) -> dict[str, Any]:
    """What a gRPC client sees that comes by the public entry point."""
    port = str(world.engine.config.http_port)
    words = ["node", "/app/client.js", port, live.app.host, *([user] if user else [])]
    output = client.containers.run(
        live.image,
        words,
        network_mode="host",
        remove=True,
        labels={"mist.instance": world.instance, "mist.role": "command"},
    )
    found: dict[str, Any] = json.loads(output)
    return found


def test_the_log_of_traefik_has_no_password(world: World, app: App, tmp_path: Path) -> None:
    user_save(app=app, domain=None, name="alice", password=PASSWORD, by=None)
    reconciliation.apply_wishes()
    wait_until(lambda: ask(world, app.host).status == 401, "the password")
    assert ask(world, app.host, user=("alice", PASSWORD)).status == 200
    home = world.engine.config.data_dir / "traefik"
    hashes = [path for path in home.rglob("*") if path.is_file() and "$2b$" in path.read_text()]
    assert [path.parent.name for path in hashes] == ["passwords"]
    assert {path.stat().st_mode & 0o777 for path in hashes} == {0o600}
    assert PASSWORD not in (home / "traefik.log").read_text()
