"""What a person types as a repository never makes Mist ask what only this server can reach: its cloud's
metadata, its own doors, its apps. With a real git, real servers and real redirects."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.engine.data import EngineConfig, GitAccess
from apps.engine.deadline import Deadline
from apps.engine.deploy_keys import new_deploy_key
from apps.engine.egress import Refused, Rules, connect, refusal
from apps.engine.egress_proxy import guarded_environment
from apps.engine.egress_rules import egress_rules
from apps.engine.errors import CloneFailed
from apps.engine.git import CommandLineGit
from tests.engine.git_host import GitHost, serve_git

NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1234:5678", "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1",
    "::169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254",
    "fd20:ce::254", "0.0.0.0", "::", "::ffff:0.0.0.0", "255.255.255.255", "240.0.0.1", "224.0.0.1",
    "ff02::1", "10.192.3.4", "10.207.255.255", "::ffff:10.192.3.4", "64:ff9b::10.192.3.4",
]  # fmt: skip
MAY = [
    "140.82.121.4", "2606:50c0:8000::153", "10.0.0.5", "192.168.1.20", "172.16.3.4", "fd12:3456::1",
    "100.64.1.1", "10.208.0.1", "::ffff:140.82.121.4",
]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
CONFIG = EngineConfig(instance="x", data_dir=Path("/nonexistent"))


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_link_local_addresses_are_never_asked(address: str) -> None:
    open_ = Rules(localhost=True, closed_networks=(CONFIG.network_pool,))
    for port in (22, 80, 443, 8080):
        assert refusal(ipaddress.ip_address(address), port, open_), port


@pytest.mark.parametrize("address", MAY)
def test_a_git_host_of_ones_own_network_may_be_asked(address: str) -> None:
    for port in (22, 80, 443, 3000, 8081):
        assert refusal(ipaddress.ip_address(address), port, egress_rules(CONFIG)) == ""


@pytest.mark.parametrize("address", LOOPBACK)
def test_the_server_itself_is_asked_for_the_sample_only(address: str) -> None:
    rules, found = egress_rules(CONFIG), ipaddress.ip_address(address)
    assert refusal(found, CONFIG.dashboard_port, rules) == ""
    for port in (22, 80, 3000, 5432, 6379, 2375, CONFIG.probe_port, CONFIG.proxy_api_port):
        assert refusal(found, port, rules), port
    trusting = egress_rules(EngineConfig("x", Path("/nonexistent"), git_localhost=True))
    assert refusal(found, 3000, trusting) == ""
    for port in (5432, 6379, 2375, 2376):
        assert refusal(found, port, trusting), port


def test_mists_own_doors_are_closed_at_every_address_of_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own = ipaddress.ip_address(probe.getsockname()[0])
    rules = egress_rules(EngineConfig("x", Path("/nonexistent"), git_localhost=True))
    for address in (own, ipaddress.ip_address("127.0.0.1")):
        for port in (CONFIG.probe_port, CONFIG.proxy_api_port):
            assert "for Mist itself" in refusal(address, port, rules)
    assert refusal(own, 3000, rules) == ""


def test_an_engine_over_tcp_and_a_proxy_of_its_own_are_closed() -> None:
    rules = egress_rules(
        EngineConfig(
            "x", Path("/nonexistent"), docker_host="tcp://192.0.2.9:4243", proxy_host="192.0.2.8"
        )
    )
    for address, port in (("192.0.2.9", 4243), ("192.0.2.8", 8082), ("192.0.2.8", 8081)):
        assert refusal(ipaddress.ip_address(address), port, rules), (address, port)
    assert refusal(ipaddress.ip_address("192.0.2.9"), 443, rules) == ""


def test_rules_reach_ssh_whole() -> None:
    for rules in (Rules(), egress_rules(CONFIG), Rules(True, frozenset({1, 2}), frozenset({3}), ("a",), ("10.0.0.0/8", "fc00::/7"))):  # fmt: skip
        assert Rules.from_words(rules.words()) == rules


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with serve_git(tmp_path / "git") as found:
        yield found


@pytest.fixture
def secret() -> Iterator[tuple[int, list[str]]]:
    """Something on this machine that nobody else can reach: its port, and who asked it for what."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the keys of the machine")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with _served(Handler) as port:
        yield port, asked


class _served:
    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self) -> int:
        self.thread.start()
        return int(self.server.server_port)

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def _redirecting_to(target: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", target + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


Fetch = Callable[[str, Rules], Any]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    def run(url: str, rules: Rules) -> Any:
        return CommandLineGit(rules).fetch(
            url=url,
            mirror=tmp_path / "mirror",
            ref="main",
            log=lambda _: None,
            deadline=Deadline(30),
            access=GitAccess(ssh_key=new_deploy_key("app").private),
        )

    return run


def test_git_fetches_through_the_guard(host: GitHost, fetch: Fetch) -> None:
    origin = host.create("halden/api")
    sha = origin.commit({"big": os.urandom(3_000_000)})
    assert fetch(origin.url, Rules(localhost=True)).sha == sha
    assert host.sent > 3_000_000


def test_git_follows_a_redirect_to_where_it_may_go(host: GitHost, fetch: Fetch) -> None:
    sha = host.create("halden/api").commit({"a": "1"})
    with _served(_redirecting_to(host.url)) as port:
        found = fetch(f"http://127.0.0.1:{port}/halden/api", Rules(localhost=True))
    assert found.sha == sha


def test_git_never_asks_the_server_itself(secret: tuple[int, list[str]], fetch: Fetch) -> None:
    port, asked = secret
    for name in (
        "127.0.0.1",
        "localhost",
        "127.1",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "2130706433",
    ):
        with pytest.raises(CloneFailed) as caught:
            fetch(f"http://{name}:{port}/a/b", Rules())
        assert "does not fetch from" in caught.value.sentence, name
        assert "keys" not in f"{caught.value.sentence}{caught.value.hint}{caught.value.detail}"
    with pytest.raises(CloneFailed):
        CommandLineGit(Rules()).branches(url=f"http://127.0.0.1:{port}/a/b", deadline=Deadline(30))
    assert asked == []


def test_no_proxy_opens_no_way_round(
    secret: tuple[int, list[str]], fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = secret
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*,127.0.0.1,localhost")
    with pytest.raises(CloneFailed):
        fetch(f"http://127.0.0.1:{port}/a/b", Rules())
    assert asked == []


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0"]
)
def test_git_never_asks_for_the_clouds_keys(fetch: Fetch, address: str) -> None:
    for scheme in ("http", "https", "ssh"):
        with pytest.raises(CloneFailed) as caught:
            fetch(f"{scheme}://{address}/latest/meta-data", Rules(localhost=True))
        assert "does not fetch from" in caught.value.sentence


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254", "https://169.254.169.254", "http://[fe80::1]"]
)
def test_a_redirect_to_link_local_is_not_followed(fetch: Fetch, target: str) -> None:
    with _served(_redirecting_to(target)) as port, pytest.raises(CloneFailed) as caught:
        fetch(f"http://127.0.0.1:{port}/a/b", Rules(localhost=True))
    assert "does not fetch from" in caught.value.sentence


def test_a_redirect_to_a_door_of_mists_own_is_not_followed(
    secret: tuple[int, list[str]], fetch: Fetch
) -> None:
    port, asked = secret
    closed = Rules(localhost=True, closed_ports=frozenset({port}))
    own = _served(_redirecting_to(f"http://127.0.0.1:{port}"))
    with own as other, pytest.raises(CloneFailed) as caught:
        fetch(f"http://127.0.0.1:{other}/a/b", closed)
    assert "does not fetch from" in caught.value.sentence
    assert asked == []


@pytest.mark.parametrize("target", ["file:///etc", "ssh://127.0.0.1", "ftp://127.0.0.1", "ext::sh"])
def test_a_redirect_to_another_protocol_is_not_followed(fetch: Fetch, target: str) -> None:
    with _served(_redirecting_to(target)) as port, pytest.raises(CloneFailed):
        fetch(f"http://127.0.0.1:{port}/a/b", Rules(localhost=True))


def test_dns_rebinding_changes_nothing_after_the_check(
    host: GitHost, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked up once for each connection, by who checks it: git itself never does."""
    sha = host.create("halden/api").commit({"a": "1"})
    port = int(host.url.rpartition(":")[2])
    lead = ["127.0.0.1"]
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(name: Any, *args: Any, **more: Any) -> Any:
        if name != "git.rebind.invalid":
            return real(name, *args, **more)
        asked.append(name)
        return real(lead[0], *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://git.rebind.invalid:{port}/halden/api"
    assert fetch(url, Rules(localhost=True)).sha == sha
    assert asked
    lead[0] = "169.254.169.254"
    with pytest.raises(CloneFailed, match="does not fetch from"):
        fetch(url, Rules(localhost=True))


def test_a_name_with_one_closed_address_among_others_is_refused(
    host: GitHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(*_: Any, **__: Any) -> Any:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, 80)) for address in ("169.254.169.254", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(Refused):
        connect("both.invalid", 80, Rules(localhost=True))


def test_ssh_goes_through_the_guard_too(fetch: Fetch) -> None:
    said: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def listen() -> None:
            made, _ = server.accept()
            with made:
                made.sendall(b"SSH-2.0-None\r\n")
                said.append(made.recv(100))

        thread = threading.Thread(target=listen)
        thread.start()
        with pytest.raises(CloneFailed):
            fetch(f"ssh://git@127.0.0.1:{port}/halden/api", Rules())
        assert said == []
        with pytest.raises(CloneFailed):
            fetch(f"ssh://git@127.0.0.1:{port}/halden/api", Rules(localhost=True))
        thread.join(10)
    assert said[0].startswith(b"SSH-2.0-")


def test_a_proxy_of_the_machines_own_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "socks5h://127.0.0.1" in guarded_environment(Rules())["https_proxy"]
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    assert guarded_environment(Rules()) == {}
