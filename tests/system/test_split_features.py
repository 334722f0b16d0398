"""What an app may ask for, in a Mist in parts on PostgreSQL: certificates, and replicas that are
replaced one by one. One Mist for all of these tests, of which each has an app of its own."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from apps.engine.host import own_address
from tests.engine.git_host import GitHost, Origin, serve_git
from tests.machine.issuer import make_authority
from tests.machine.live import live_mist
from tests.machine.pebble import Issuer, serve_dns_requests, serve_issuer
from tests.machine.secure import ask, trusting
from tests.machine.split import SplitMist, counted, probing, split_mist
from tests.machine.split_parts import build_mist
from tests.machine.world import SAMPLES, wait_until
from tests.system.test_split_serve import (
    HOST,
    QUICK,
    build_log,
    check_invariants,
    end_the_worker_of,
    lose_one_of_each,
    make_shop,
)

pytestmark = [pytest.mark.docker, pytest.mark.long(8)]
PASSWORD = "of-this-test-alone"
REPLICAS = 3
SLOW_START = 'CMD ["sh", "-c", "sleep 4; exec httpd -f -p 8080 -h /www"]\n'
FIND = """
from apps.projects.models import App
app = next(app for app in App.objects.all() if str(app) == {!r})
"""
ASK_ISSUER = """
from apps.domains.acme_services import acme_save
acme_save(eab_key=None, changed_by=None, **{!r})
"""
FORGET = """
import datetime as dt
from django.utils import timezone
from apps.domains.acme_models import AcmeSettings
AcmeSettings.objects.update(apply_asked_at=timezone.now() - dt.timedelta(minutes=2))
"""
ORDER = """
import json
from apps.domains.acme_models import CertificateOrder
print(json.dumps([CertificateOrder.objects.filter(host={!r}).values("state", "kind").first()]))
"""
PROVE_BY_DNS = """
from apps.domains.acme_services import dns_account_save
dns_account_save(provider="httpreq", values={{"HTTPREQ_ENDPOINT": {!r}}}, servers={!r},
                 looks=False, created_by=None)
"""
GIVE = """
from apps.domains.certificate_services import certificate_save
certificate_save(project=app.project, chain={!r}, key={!r}, created_by=None)
"""
HTTPS = """
from apps.domains.certificate_services import https_change
https_change(app=app, own_https={!r})
"""
ROOT = """
import json
from apps.domains.authority import local_root
print(json.dumps(local_root()))
"""
CANCEL = """
from apps.deployments.models import Deployment
from apps.deployments.services import deployment_cancel
assert deployment_cancel(deployment=Deployment.objects.get(pk={}), by=None)
"""
REPLICATE = f"""
from apps.projects.services import app_update
app_update(app=app, replicas={REPLICAS})
"""


@dataclass(frozen=True)
class Parts:
    split: SplitMist
    issuer: Issuer
    git: GitHost

    def origin(self, name: str) -> Origin:
        made = self.git.create(f"acme/{name}")
        shutil.copytree(SAMPLES / "static", made.path, dirs_exist_ok=True)
        made.commit({"site/index.html": "1"}, "First version")
        return made

    def app(self, name: str) -> tuple[str, Origin]:
        """One that is live, in a project of its own."""
        origin, app = self.origin(name), f"{name}/site"
        self.split.run("project_create", name)
        self.split.run("app_create", app, "--repo", origin.url)
        self.split.run("deploy", app, "--wait")
        return app, origin

    def change(self, app: str, code: str) -> None:
        self.split.do(FIND.format(app) + code)

    def http(self, host: str) -> tuple[int, str]:
        """The status, and where it sends on to."""
        port = int(self.split.host.env["MIST_HTTP_PORT"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location", "")
        except OSError:
            return 0, ""
        finally:
            connection.close()

    @property
    def https_port(self) -> int:
        return int(self.split.host.env["MIST_HTTPS_PORT"])

    def is_trusted(self, host: str, root: str) -> bool:
        """Whether somebody who trusts the root gets the app's page."""
        try:
            return ask(self.https_port, host, trusting(root)).status == 200
        except OSError:
            return False

    def traefik_started_at(self) -> str:
        return "".join(one.attrs["State"]["StartedAt"] for one in self.split.containers("traefik"))

    @contextmanager
    def restarted(self) -> Iterator[None]:
        """What is done meanwhile has Traefik restarted; afterwards apps answer."""
        began = self.traefik_started_at()
        yield
        wait_until(lambda: self.traefik_started_at() not in ("", began), "the restart", 30)
        wait_until(lambda: self.http("nobody.localhost")[0] == 404, "Traefik", 20)

    def doctor(self) -> str:
        return self.split.compose("exec", "-T", "beat", "sh", "-c", "mist doctor; true")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """With two webs and two workers. What the issuer signs counts as known."""
    build_mist()
    folder = tmp_path_factory.mktemp("parts")
    settings = QUICK | {
        "COMPOSE_PROFILES": "postgres",
        "POSTGRES_PASSWORD": PASSWORD,
        "DATABASE_URL": f"postgres://mist:{PASSWORD}@postgres:5432/mist",
        "MIST_ACME_CA_FILE": str(folder / "data" / "issuer.pem"),
    }
    with (
        serve_git(folder / "git", own_address()) as git,
        live_mist(folder / "data", **settings) as host,
        split_mist(host) as split,
        serve_issuer(
            folder / "issuer",
            http_port=int(host.env["MIST_HTTP_PORT"]),
            https_port=int(host.env["MIST_HTTPS_PORT"]),
            address=own_address(),
        ) as issuer,
    ):
        host.data_dir.mkdir()
        known = issuer.ca_file.read_bytes() + issuer.root()
        (host.data_dir / "issuer.pem").write_bytes(known)
        split.up(web=2, worker=2)
        yield Parts(split, issuer, git)


def test_it_loses_nothing_on_postgresql(parts: Parts) -> None:
    split, origin = parts.split, parts.origin("web")
    make_shop(split, origin)
    with probing(split.host, HOST) as seen:
        lose_one_of_each(split, origin)
        check_invariants(split, seen)
    assert not (split.host.data_dir / "mist.db").exists()


def test_names_are_certified_and_visitors_sent_on(parts: Parts) -> None:
    split, root = parts.split, parts.issuer.root().decode()
    app, _ = parts.app("certified")
    with parts.restarted():
        split.do(ASK_ISSUER.format({"directory": parts.issuer.directory, "is_on": True}))
    parts.issuer.set_address("wrong.example.com", "127.0.0.99")
    split.run("domain_add", app, "shop.example.com")
    split.run("domain_add", app, "wrong.example.com")
    wait_until(lambda: parts.is_trusted("shop.example.com", root), "the certificate", 60)
    to = f"https://shop.example.com:{parts.https_port}/"
    wait_until(lambda: parts.http("shop.example.com") == (302, to), "the redirect", 60)
    refused = [{"state": "failed", "kind": "connection"}]
    wait_until(
        lambda: split.ask(ORDER.format("wrong.example.com")) == refused, "the refusal's reason", 60
    )
    assert parts.http("wrong.example.com")[0] == 200

    # How names are proven is no news to Traefik.
    began = parts.traefik_started_at()
    split.do(ASK_ISSUER.format({"challenge": "tls"}))
    split.run("domain_add", app, "tls.example.com")
    wait_until(lambda: parts.is_trusted("tls.example.com", root), "the one proven by TLS", 60)
    assert parts.traefik_started_at() == began

    with serve_dns_requests(parts.issuer, own_address()) as endpoint:
        with parts.restarted():
            split.do(PROVE_BY_DNS.format(endpoint, parts.issuer.dns_server))
        split.run("domain_add", app, "*.wild.example.com")
        wait_until(lambda: parts.is_trusted("any.wild.example.com", root), "the wildcard", 60)
    assert parts.is_trusted("shop.example.com", root)


def test_what_a_killed_worker_left_traefik_without_knowing_it_hears(parts: Parts) -> None:
    static = parts.split.host.data_dir / "traefik" / "traefik.yml"
    with parts.restarted():
        parts.split.do(ASK_ISSUER.format({"lifetime_hours": 2000}))
    assert '"certificatesDuration": 2000' in static.read_text()
    said = parts.doctor()
    assert "PROBLEM" not in said, said
    # Of a worker that ended after it wrote this, and before it said so.
    static.touch()
    said = parts.doctor()
    assert "PROBLEM Traefik's configuration" in said and "docker compose up --detach" in said, said
    with parts.restarted():
        parts.split.do(FORGET)
    said = parts.doctor()
    assert "PROBLEM" not in said, said


def test_certificates_of_ones_own_and_self_signed_ones_are_served(parts: Parts) -> None:
    app, _ = parts.app("owned")
    host, authority = "site-owned.localhost", make_authority()
    pair = authority.chained(host)
    parts.change(app, GIVE.format(pair.chain, pair.key) + HTTPS.format("own"))
    wait_until(lambda: parts.is_trusted(host, authority.pem), "the certificate", 30)
    to = f"https://{host}:{parts.https_port}/"
    wait_until(lambda: parts.http(host) == (302, to), "the redirect", 30)
    parts.change(app, HTTPS.format("self"))
    root = parts.split.ask(ROOT)
    wait_until(lambda: parts.is_trusted(host, root), "the self-signed one", 30)
    assert not parts.is_trusted(host, authority.pem)


def test_replicas_are_replaced_one_by_one_whatever_comes_between(parts: Parts) -> None:
    """A roll that ends well, one that is cancelled midway, and one whose worker ends midway."""
    split = parts.split
    split.up(web=2, worker=2)
    app, origin = parts.app("rolled")
    parts.change(app, REPLICATE)
    split.run("deploy", app, "--wait")
    is_whole(split, app)
    with counted(split, app) as numbers, probing(split.host, "site-rolled.localhost") as seen:
        split.run("deploy", app, "--wait")
        is_whole(split, app)
        dockerfile = (origin.path / "Dockerfile").read_text()
        slow = dockerfile.partition("CMD")[0] + SLOW_START
        origin.commit({"Dockerfile": slow, "site/index.html": "2"}, "Second version")

        cancelled = midway(split, app)
        split.do(CANCEL.format(cancelled["id"]))
        log = partial(build_log, split.host, cancelled["id"])
        wait_until(lambda: "of #3 serve again" in log(), "the way back", 60)
        is_whole(split, app)

        held = midway(split, app)
        end_the_worker_of(split, held)
        log = partial(build_log, split.host, held["id"])
        assert "2 of 3 replaced" not in log()
        wait_until(lambda: "3 of 3 replaced" in log(), "the end", 120)
        is_whole(split, app)
    assert seen.failures == 0 and seen.asked > 100, seen
    assert numbers == {REPLICAS, REPLICAS + 1}
    rows = split.deployments(app)
    assert [row["status"] for row in rows] == [*["retired"] * 3, "cancelled", "live"]
    assert rows[-1]["id"] == held["id"] and rows[-1]["owner"] == ""
    assert all(one.labels["mist.deployment"] == str(held["id"]) for one in split.apps(app))
    assert split.host.visit("site-rolled.localhost") == (200, "2")


def midway(split: SplitMist, app: str) -> dict[str, Any]:
    """A deployment that has replaced one container and waits for the next."""
    split.run("deploy", app)
    number = split.deployments(app)[-1]["id"]
    wait_until(lambda: "1 of 3 replaced" in build_log(split.host, number), "midway", 60)
    return split.deployments(app)[-1]


def is_whole(split: SplitMist, app: str) -> None:
    def there() -> bool:
        found = split.apps(app)
        return len(found) == REPLICAS and {one.status for one in found} == {"running"}

    wait_until(there, "the usual number of containers", 60)
