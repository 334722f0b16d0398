"""Traffic rules as visitors meet them: the real proxy before a real app."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from apps.accounts.models import User
from apps.deployments import reconciliation
from apps.deployments.models import Status
from apps.deployments.services import app_start, app_stop
from apps.domains.models import Domain
from apps.domains.rule_services import rules_change, rules_part, user_remove, user_save
from apps.domains.services import domain_add
from apps.projects.models import App
from apps.projects.services import app_create, app_update
from tests.machine.visitors import APP, DOCKERFILE, Answer, ask, mist_pages, post
from tests.machine.world import World, steady_visitors, sweep, wait_until

pytestmark = pytest.mark.docker
PASSWORD = "correct-horse"
MB = 1024 * 1024


def echo(world: World, name: str = "web", **settings: Any) -> App:
    origin = world.git.create(f"samples/{name}")
    origin.commit({"Dockerfile": DOCKERFILE, "app.py": APP}, "First version")
    return app_create(
        project=world.project,
        slug=name,
        repository=origin.url,
        created_by=None,
        port=8080,
        **settings,
    )


@pytest.fixture
def app(world: World) -> Iterator[App]:
    try:
        made = echo(world)
        assert world.deploy(made).status == Status.LIVE
        yield made
    finally:
        sweep(world.instance)


@pytest.fixture
def shop(app: App) -> Domain:
    """Another name of the app."""
    return domain_add(app=app, host="shop.example.com", created_by=None)


def change(app: App, domain: Domain | None = None, **settings: Any) -> None:
    rules_change(app=app, domain=domain, **settings)
    reconciliation.apply_wishes()


def until(answer: Callable[[], Answer], status: int) -> Answer:
    """The answer, once it has that status: a change is seen within a second, on a slow machine within
    some."""
    seen: list[Answer] = []

    def is_so() -> bool:
        seen.append(answer())
        return seen[-1].status == status

    wait_until(is_so, f"the status {status}", seconds=15)
    return seen[-1]


def status_through(world: World, app: App, forwarded: str) -> int:
    """What who comes through the trusted proxy is answered."""
    return ask(world, app.host, come_from="127.0.0.2", X_Forwarded_For=forwarded).status


def test_only_users_come_in_and_the_app_learns_no_password(world: World, app: App) -> None:
    for name in ("alice", "bob"):
        user_save(app=app, domain=None, name=name, password=f"{PASSWORD}-{name}", by=None)
    reconciliation.apply_wishes()
    refused = until(lambda: ask(world, app.host), 401)
    assert refused.headers["Www-Authenticate"] == 'Basic realm="Sign in"'
    for name in ("alice", "bob"):
        answer = ask(world, app.host, user=(name, f"{PASSWORD}-{name}"))
        assert answer.status == 200 and "Authorization" not in answer.seen["headers"]
    assert ask(world, app.host, user=("alice", f"{PASSWORD}-bob")).status == 401
    # Neither hash nor name is in what Traefik shows to everybody on this machine.
    shown = json.dumps(world.engine.proxy.read_routes(str(app.pk)))
    assert "$2b$" not in shown and "alice" not in shown
    rules = user_save(app=app, domain=None, name="bob", password="another-one", by=None).rules
    reconciliation.apply_wishes()
    until(lambda: ask(world, app.host, user=("bob", "another-one")), 200)
    assert ask(world, app.host, user=("bob", f"{PASSWORD}-bob")).status == 401
    for user in rules.users.all():
        user_remove(user=user)
    reconciliation.apply_wishes()
    until(lambda: ask(world, app.host), 200)


def test_only_listed_addresses_come_in_behind_a_trusted_proxy_too(world: World, app: App) -> None:
    change(app, allowed_networks=["203.0.113.0/24", "2001:db8::/32"])
    until(lambda: ask(world, app.host), 403)
    through = functools.partial(status_through, world, app)
    assert through("203.0.113.9") == 200
    assert through("2001:db8::9") == 200
    assert through("198.51.100.1, 203.0.113.9") == 200
    # What a visitor has written there stands left of what the proxy adds.
    assert through("203.0.113.9, 198.51.100.1") == 403
    assert through("nonsense") == 403
    assert ask(world, app.host, come_from="127.0.0.2").status == 403
    # Of anybody else the header says nothing.
    assert ask(world, app.host, X_Forwarded_For="203.0.113.9").status == 403
    change(app, allowed_networks=["127.0.0.0/8"])
    until(lambda: ask(world, app.host), 200)
    assert ask(world, app.host, come_from="127.0.0.2").status == 200
    assert through("198.51.100.1") == 403


def test_who_asks_too_often_waits_and_others_do_not(world: World, app: App) -> None:
    change(app, rate_average=1, rate_period_seconds=60, rate_burst=3)
    until(lambda: ask(world, app.host), 429)
    through = functools.partial(status_through, world, app)
    assert [through("198.51.100.1") for _ in range(4)] == [200, 200, 200, 429]
    assert through("198.51.100.2") == 200
    change(app, rate_average=None)
    until(lambda: ask(world, app.host), 200)


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(world: World, app: App) -> None:
    change(app, body_limit_mb=1)
    send = functools.partial(post, world, app.host)
    until(lambda: send(b"x" * (MB + 1)), 413)
    fits = send(b"x" * MB)
    assert fits.status == 200 and fits.seen["bytes"] == MB
    assert send(b"x" * (MB + 1), Content_Length=f"00{MB + 1}").status == 413
    chunked = send(iter([b"x" * 1000] * 3))
    assert chunked.status == 200 and chunked.seen["bytes"] == 3000
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        assert send(iter([b"x" * MB, b"x" * MB])).status == 413
    assert ask(world, app.host, method="POST").status == 200
    assert ask(world, app.host).status == 200
    with mist_pages(world):
        page = send(b"x" * (MB + 1))
        assert page.status == 413 and b"too large" in page.body


def test_headers_are_added_replaced_and_taken_away_as_they_are_written(
    world: World, app: App
) -> None:
    odd = 'a {{ fail "x" }} ${HOME} `b` "c" \\ {{env "PATH"}}'
    headers = [["X-Odd", odd], ["X-Powered-By", ""], ["content-type", "text/plain"]]
    change(app, headers=headers)
    wait_until(lambda: "X-Odd" in ask(world, app.host).headers, "the header")
    seen = ask(world, app.host).headers
    assert seen["X-Odd"] == odd and "X-Powered-By" not in seen
    assert seen["Content-Type"] == "text/plain"


def test_no_visitor_says_in_another_spelling_what_is_the_proxys_to_say(
    world: World, app: App
) -> None:
    sent: dict[str, Any] = {"X.Forwarded.For": "192.0.2.66", "X-Fine": "yes"}
    seen = json.loads(ask(world, app.host, **sent).body)["headers"]
    assert "192.0.2.66" not in json.dumps(seen) and seen["X-Fine"] == "yes"


def test_answers_are_compressed_where_that_is_wanted(world: World, app: App) -> None:
    get = functools.partial(ask, world, app.host, "/text", Accept_Encoding="gzip")
    plain = get()
    assert "Content-Encoding" not in plain.headers
    change(app, compresses=True)
    wait_until(lambda: get().headers.get("Content-Encoding") == "gzip", "compression")
    assert len(get().body) < len(plain.body) / 20
    assert "Content-Encoding" not in ask(world, app.host, "/text").headers


def test_a_visitor_comes_back_to_the_same_container_from_the_next_deployment_on(
    world: World, app: App
) -> None:
    app_update(app=app, replicas=2, sticky_sessions=True)
    assert "Set-Cookie" not in ask(world, app.host).headers
    assert world.deploy(app).status == Status.LIVE
    first = ask(world, app.host)
    cookie = first.headers["Set-Cookie"]
    assert cookie.startswith("mist_container=") and "HttpOnly" in cookie and "Lax" in cookie
    pair = cookie.partition(";")[0]
    again = {ask(world, app.host, Cookie=pair).seen["container"] for _ in range(10)}
    assert again == {first.seen["container"]}
    assert len({ask(world, app.host).seen["container"] for _ in range(10)}) == 2


def test_maintenance_is_for_all_but_listed_addresses_and_the_other_app_goes_on(
    world: World, app: App
) -> None:
    other = echo(world, "other")
    assert world.deploy(other).status == Status.LIVE
    change(app, maintenance=True, maintenance_seconds=600)
    # Mist itself is down: Traefik says as much with its own words.
    bare = until(lambda: ask(world, app.host), 503)
    assert bare.headers["Retry-After"] == "600" and bare.headers["Cache-Control"] == "no-store"
    with mist_pages(world):
        assert b"Down for maintenance" in ask(world, app.host).body
        change(app, maintenance_page="<h1>Back at noon {{ 1 }}</h1>")
        wait_until(lambda: b"Back at noon {{ 1 }}" in ask(world, app.host).body, "the app's page")
        page = ask(world, app.host, "/deep/path", method="POST", body=b"x")
        assert page.status == 503 and "sandbox" in page.headers["Content-Security-Policy"]
        assert ask(world, other.host).status == 200
        change(app, maintenance_networks=["127.0.0.0/8", "203.0.113.7"])
        until(lambda: ask(world, app.host), 200)
        # Its own answers are not taken for the refusal of somebody else.
        for status in (503, 404, 502):
            assert ask(world, app.host, f"/status/{status}").body == b"said by the app"
        through = functools.partial(status_through, world, app)
        assert (through("203.0.113.7"), through("203.0.113.8")) == (200, 503)
        # A new version comes up meanwhile, and so does one that nobody reaches.
        change(app, maintenance_networks=[])
        until(lambda: ask(world, app.host), 503)
        assert world.deploy(app).status == Status.LIVE
        assert ask(world, app.host).status == 503
        app_stop(app=app)
        reconciliation.apply_wishes()
        assert b"Back at noon" in ask(world, app.host).body
        app_start(app=app)
        change(app, maintenance=False)
        until(lambda: ask(world, app.host), 200)


def test_an_app_that_was_never_deployed_can_be_in_maintenance(world: World) -> None:
    try:
        app = echo(world)
        reconciliation.restore_routes()
        until(lambda: ask(world, app.host), 404)
        with mist_pages(world):
            # Traefik answers before it has read its files.
            wait_until(lambda: b"Nothing is here" in ask(world, app.host).body, "Mist's page")
            change(app, maintenance=True, maintenance_page="<h1>Soon</h1>")
            assert until(lambda: ask(world, app.host), 503).body == b"<h1>Soon</h1>"
            assert ask(world, "unknown.example.com").status == 404
            assert world.deploy(app).status == Status.LIVE
            assert ask(world, app.host).body == b"<h1>Soon</h1>"
            change(app, maintenance=False)
            until(lambda: ask(world, app.host), 200)
    finally:
        sweep(world.instance)


def test_while_nothing_runs_visitors_get_a_page_with_the_right_status(
    world: World, app: App, docker_client: docker.DockerClient
) -> None:
    assert ask(world, app.host, "/status/502").body == b"said by the app"
    app_stop(app=app)
    reconciliation.apply_wishes()
    bare = until(lambda: ask(world, app.host), 503)
    assert bare.headers["Retry-After"] == "60"
    with mist_pages(world):
        page = ask(world, app.host)
        assert page.status == 503 and b"Not available right now" in page.body
        assert ask(world, app.host, method="HEAD").status == 503
        app_start(app=app)
        reconciliation.apply_wishes()
        until(lambda: ask(world, app.host), 200)
        # Nobody told Mist, and nobody has to.
        [container] = docker_client.containers.list(
            filters={"label": f"mist.instance={world.instance}"}
        )
        container.stop(timeout=1)
        assert b"Not available right now" in until(lambda: ask(world, app.host), 503).body
        container.start()
        until(lambda: ask(world, app.host), 200)


def test_a_domain_may_have_rules_of_its_own(world: World, app: App, shop: Domain) -> None:
    alice = User.objects.get(email="alice@example.com")
    user_save(app=app, domain=None, name="alice", password=PASSWORD, by=alice)
    reconciliation.apply_wishes()
    until(lambda: ask(world, shop.host), 401)
    rules = rules_part(domain=shop)
    reconciliation.apply_wishes()
    # They begin as the app's are, passwords too.
    until(lambda: ask(world, shop.host, user=("alice", PASSWORD)), 200)
    assert ask(world, shop.host).status == 401
    for user in rules.users.all():
        user_remove(user=user)
    change(app, shop, headers=[["X-Own", "shop"]])
    assert until(lambda: ask(world, shop.host), 200).headers["X-Own"] == "shop"
    assert ask(world, app.host).status == 401


def test_nobody_is_turned_away_while_rules_change(world: World, app: App) -> None:
    with steady_visitors(world, app.host, kept=1, fresh=1) as visitors:
        for number in range(20):
            change(
                app,
                headers=[["X-Number", str(number)]],
                compresses=number % 2 == 0,
                body_limit_mb=number + 1 if number % 3 else None,
                allowed_networks=["127.0.0.0/8"] if number % 5 else [],
            )
    assert visitors.failures == [] and visitors.answers
