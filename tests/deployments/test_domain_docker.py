"""Addresses of apps through the real proxy."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator
from functools import partial

import pytest

from apps.deployments import reconciliation
from apps.deployments.models import Status
from apps.domains.models import Domain
from apps.domains.services import domain_add, domain_change, domain_move, domain_remove
from apps.projects.models import App
from apps.projects.services import app_create
from apps.system.address_services import base_domain_change
from tests.machine.world import World, steady_visitors, sweep, wait_until

pytestmark = pytest.mark.docker
CHANGES = 200
ECHO = """import http.server, socketserver, sys, threading
NAME = open("/app/NAME").read().strip()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{NAME} {self.server.server_port} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

servers = [http.server.ThreadingHTTPServer(("", port), Handler) for port in (8080, 9000)]
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
servers[0].serve_forever()
"""
DOCKERFILE = """FROM python:3.11-slim
COPY . /app
EXPOSE 8080 9000
CMD ["python", "/app/echo.py"]
"""


def echo(world: World, name: str) -> App:
    """An app that says its name, the port and the path it was asked for; live."""
    origin = world.git.create(f"samples/{name}")
    origin.commit({"Dockerfile": DOCKERFILE, "echo.py": ECHO, "NAME": name}, "First version")
    app = app_create(
        project=world.project, slug=name, repository=origin.url, created_by=None, port=8080
    )
    assert world.deploy(app).status == Status.LIVE
    return app


@pytest.fixture
def apps(world: World) -> Iterator[tuple[App, App]]:
    try:
        yield echo(world, "one"), echo(world, "two")
    finally:
        sweep(world.instance)


def lead(world: World, host: str, path: str, answer: str) -> None:
    """See that visitors get this answer, now that the wishes are carried out."""
    reconciliation.apply_wishes()
    wait_until(lambda: world.get(host, path) == (200, answer), f"{host}{path} → {answer}")


def redirect_of(world: World, host: str, path: str) -> tuple[int, str]:
    port = world.engine.config.http_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location", "")
    finally:
        connection.close()


def test_names_paths_wildcards_and_ports_lead_where_they_say(
    world: World, apps: tuple[App, App]
) -> None:
    one, two = apps
    domain_add(app=one, host="shop.example.com", created_by=None)
    domain_add(app=two, host="shop.example.com", path="/api", strips_path=True, created_by=None)
    domain_add(app=two, host="shop.example.com", path="/raw", created_by=None)
    domain_add(app=two, host="*.example.com", created_by=None)
    domain_add(app=one, host="admin.example.com", port=9000, created_by=None)
    lead(world, "shop.example.com", "/", "one 8080 /")
    lead(world, "shop.example.com", "/apis", "one 8080 /apis")
    lead(world, "shop.example.com", "/api/x?y=1", "two 8080 /x?y=1")
    lead(world, "shop.example.com", "/api", "two 8080 /")
    lead(world, "shop.example.com", "/raw/x", "two 8080 /raw/x")
    lead(world, "any.example.com", "/api", "two 8080 /api")
    lead(world, "admin.example.com", "/", "one 9000 /")
    assert world.get("a.b.example.com")[0] == 404
    assert world.get("example.com")[0] == 404


def test_names_redirect_to_the_primary_one_with_path_and_query(
    world: World, apps: tuple[App, App]
) -> None:
    one, _ = apps
    domain_add(app=one, host="shop.example.com", is_primary=True, created_by=None)
    www = domain_add(app=one, host="www.shop.example.com", redirects=True, created_by=None)
    reconciliation.apply_wishes()
    port = world.engine.config.http_port
    from_port = "" if port == 80 else f":{port}"
    there = f"http://shop.example.com{from_port}/a/b?c=d"

    def leads() -> bool:
        return redirect_of(world, "www.shop.example.com", "/a/b?c=d") == (301, there)

    wait_until(leads, "the redirect")
    domain_change(domain=www, redirects=False)
    lead(world, "www.shop.example.com", "/", "one 8080 /")


def is_answer(world: World, host: str, answer: str) -> bool:
    return world.get(host) == (200, answer)


def test_apps_answer_below_the_new_base_domain_within_a_second(
    world: World, apps: tuple[App, App]
) -> None:
    one, two = apps
    domain_add(app=one, host="shop.example.com", created_by=None)
    lead(world, "shop.example.com", "/", "one 8080 /")
    former = one.host
    lead(world, former, "/", "one 8080 /")
    with steady_visitors(world, "shop.example.com", kept=1, fresh=1) as visitors:
        base_domain_change(name="apps.example.net")
        began = time.monotonic()
        reconciliation.restore_routes()
        for app, name in ((one, "one"), (two, "two")):
            assert app.host.endswith(".apps.example.net")
            wait_until(partial(is_answer, world, app.host, f"{name} 8080 /"), app.host)
        print(f"moved in {time.monotonic() - began:.2f} s")
        wait_until(lambda: world.get(former)[0] == 404, "the former name leads nowhere")
    assert visitors.failures == [] and visitors.answers
    base_domain_change(name="")
    reconciliation.restore_routes()
    lead(world, former, "/", "one 8080 /")


def test_nobody_is_turned_away_while_addresses_change(world: World, apps: tuple[App, App]) -> None:
    """Names and paths are added, changed, moved and removed at random while visitors come to
    another app and to the primary name of this one."""
    one, two = apps
    domain_add(app=one, host="shop.example.com", is_primary=True, created_by=None)
    moving = domain_add(app=one, host="moving.example.com", created_by=None)
    lead(world, "shop.example.com", "/", "one 8080 /")
    lead(world, "moving.example.com", "/", "one 8080 /")
    choose = random.Random(7)
    with (
        steady_visitors(world, "shop.example.com", kept=1, fresh=1) as primary,
        steady_visitors(world, two.host, kept=1, fresh=1) as other,
        steady_visitors(world, "moving.example.com", kept=1, fresh=1) as moved,
    ):
        for n in range(CHANGES):
            mine = list(Domain.objects.exclude(host__in=("shop.example.com", "moving.example.com")))
            if n % 20 == 10:
                moving.refresh_from_db()
                domain_move(domain=moving, to=two if moving.app_id == one.pk else one)
            elif mine and choose.random() < 0.4:
                domain_remove(domain=choose.choice(mine))
            elif mine and choose.random() < 0.4:
                domain_change(domain=choose.choice(mine), redirects=choose.random() < 0.5)
            else:
                path = choose.choice(["", "/api", "/a/b"])
                host = choose.choice([f"n{n}.example.com", f"*.w{n}.example.com"])
                domain_add(app=choose.choice(apps), host=host, path=path, created_by=None)
            reconciliation.apply_wishes()
    assert primary.failures == other.failures == moved.failures == []
    # How many they were is the machine's affair.
    assert all(one.answers for one in (primary, other, moved))
