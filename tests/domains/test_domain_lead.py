"""Which address leads where: paths, wildcards, ports, redirects, moves."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments import reconciliation
from apps.domains.models import Domain
from apps.domains.services import domain_add, domain_change, domain_move, domain_remove
from apps.engine.errors import InvalidSource
from apps.engine.fake import FakeEngine
from apps.projects.https_models import HttpsBy
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import app_create
from tests.deployments.test_deployment_run import deploy

URL = "/projects/shop/apps/web/domains/"


def routers(fake: FakeEngine, app: App) -> dict[str, Any]:
    """Rule → router that leads to the app, as the proxy has them now."""
    reconciliation.apply_wishes()
    file: Any = fake.proxy.read_routes(str(app.pk)) or {"http": {"routers": {}}}
    return {
        router["rule"]: router | {"name": name}
        for name, router in file["http"]["routers"].items()
        if not name.endswith("-away")
    }


def middleware(fake: FakeEngine, app: App, name: str) -> Any:
    file: Any = fake.proxy.read_routes(str(app.pk))
    return file["http"]["middlewares"][name]


@pytest.fixture
def other(shop: Project) -> App:
    return app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)


@pytest.fixture
def bob(web: App) -> User:
    return User.objects.create_user("bob@example.com", name="Bob")


def test_plain_names_share_a_router_and_a_path_has_its_own(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    domain_add(app=web, host="shop.example.com", https=HttpsBy.OFF, created_by=None)
    made = domain_add(app=web, host="example.com", path="/shop/", strips_path=True, created_by=None)
    found = routers(fake, web)
    rule = "Host(`example.com`) && (Path(`/shop`) || PathPrefix(`/shop/`))"
    assert set(found) == {"Host(`web-shop.localhost`) || Host(`shop.example.com`)", rule}
    assert found[rule]["service"] == f"{live.service}@docker"
    name = f"app-{web.pk}-d{made.pk}"
    assert found[rule]["middlewares"] == [f"{name}-strip"]
    assert middleware(fake, web, f"{name}-strip") == {"stripPrefix": {"prefixes": ["/shop"]}}


def test_a_name_beats_a_wildcard_and_a_longer_path_a_shorter_one(
    fake: FakeEngine, web: App
) -> None:
    deploy(web)
    for host, path in (("*.example.com", ""), ("*.example.com", "/api"), ("a.example.com", "")):
        domain_add(app=web, host=host, path=path, https=HttpsBy.OFF, created_by=None)
    for path in ("/api", "/api/v2"):
        domain_add(app=web, host="a.example.com", path=path, created_by=None)
    found = routers(fake, web)
    order = sorted(found, key=lambda rule: -int(found[rule]["priority"]))
    hosts = ["a.example" in rule for rule in order]
    assert hosts == sorted(hosts, reverse=True) and "/api/v2" in order[0]
    wild = r"HostRegexp(`^[a-z0-9-]+\.example\.com$`)"
    assert order[-1] == wild and order[-2].startswith(f"{wild} && (Path(`/api`)")


def test_names_redirect_to_the_primary_one(fake: FakeEngine, web: App) -> None:
    deploy(web)
    domain_add(app=web, host="shop.example.com", is_primary=True, created_by=None)
    www = domain_add(app=web, host="www.shop.example.com", redirects=True, created_by=None)
    router = routers(fake, web)["Host(`www.shop.example.com`)"]
    assert router["service"] == "noop@internal"
    [name] = router["middlewares"]
    redirect = middleware(fake, web, name)["redirectRegex"]
    assert redirect["permanent"] and redirect["replacement"] == "http://shop.example.com${1}"
    # The primary name is one; the other way round it is a plain one again.
    domain_change(domain=www, is_primary=True, redirects=False)
    assert [one.host for one in Domain.objects.filter(is_primary=True)] == [www.host]


def test_without_a_primary_name_redirects_lead_to_the_apps_own(fake: FakeEngine, web: App) -> None:
    deploy(web)
    domain_add(app=web, host="old.example.com", redirects=True, created_by=None)
    [name] = routers(fake, web)["Host(`old.example.com`)"]["middlewares"]
    replacement = middleware(fake, web, name)["redirectRegex"]["replacement"]
    assert replacement.startswith("http://web-shop.localhost")


def test_another_port_leads_there_from_the_next_deployment_on(
    client: Client, alice: User, fake: FakeEngine, web: App
) -> None:
    deploy(web)
    client.force_login(alice)
    domain_add(app=web, host="admin.example.com", port=9000, created_by=None)
    assert "Host(`admin.example.com`)" not in routers(fake, web)
    assert "from the next deployment on" in client.get(URL).content.decode()
    live = deploy(web)
    service = routers(fake, web)["Host(`admin.example.com`)"]["service"]
    assert service == f"{live.service}-p9000@docker"
    [container] = fake.containers.all.values()
    label = f"traefik.http.services.{live.service}-p9000.loadbalancer.server.port"
    assert container.labels[label] == "9000"
    assert "from the next deployment on" not in client.get(URL).content.decode()


def test_a_port_that_the_image_exposes_is_led_to_at_once(fake: FakeEngine, web: App) -> None:
    fake.containers.ports = (8000, 9000)
    live = deploy(web)
    domain_add(app=web, host="admin.example.com", port=9000, created_by=None)
    service = routers(fake, web)["Host(`admin.example.com`)"]["service"]
    assert service == f"{live.service}-p9000@docker"


def test_a_moved_name_leaves_when_it_has_arrived(fake: FakeEngine, web: App, other: App) -> None:
    deploy(web)
    deploy(other)
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    routers(fake, web)
    domain_move(domain=domain, to=other)
    seen = []
    write = fake.proxy.write_routes

    def watch(app: str, routes: Any) -> None:
        write(app, routes)
        files = [str(fake.proxy.read_routes(str(one.pk))) for one in (web, other)]
        seen.append(any("shop.example.com" in file for file in files))

    fake.proxy.write_routes = watch  # type: ignore[method-assign]
    assert "Host(`shop.example.com`)" in " ".join(routers(fake, other))
    assert "shop.example.com" not in " ".join(routers(fake, web))
    assert len(seen) >= 2 and all(seen)
    # The proxy has the one before the other is written: it reads them one after the other.
    steps = [(step, of) for _, step, of in fake.calls if of in (str(web.pk), str(other.pk))]
    last = len(steps) - steps[::-1].index(("wait_until_taken_up", str(other.pk)))
    assert ("write_routes", str(web.pk)) in steps[last:]


def test_a_name_that_is_moved_on_at_once_leaves_where_it_came_from(
    fake: FakeEngine, web: App, other: App, shop: Project
) -> None:
    third = app_create(project=shop, slug="docs", repository="https://e.example/d", created_by=None)
    for app in (web, other, third):
        deploy(app)
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    routers(fake, web)
    domain_move(domain=domain, to=other)
    domain_move(domain=domain, to=third)
    found = {
        app.slug: "shop.example.com" in " ".join(routers(fake, app)) for app in (web, other, third)
    }
    assert found == {"web": False, "api": False, "docs": True}


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("shop.example.com", ""),
        ("shop.example.com", "/login"),
        ("*.example.com", ""),
        ("a.wild.example.com", ""),
        ("a.wild.example.com", "/x"),
        ("SHOP.example.com.", "/x"),
    ],
)
def test_another_project_gets_no_part_of_a_name(
    web: App, foreign: App, host: str, path: str
) -> None:
    domain_add(app=web, host="shop.example.com", created_by=None)
    domain_add(app=web, host="*.wild.example.com", created_by=None)
    with pytest.raises(InvalidSource, match=r"belongs to (another project|the app shop/web)"):
        domain_add(app=foreign, host=host, path=path, created_by=None)


@pytest.mark.parametrize(
    "host",
    ["b.a.shop.example.com", "example.com", "xshop.example.org", "a.b.wild.example.com"],
)
def test_names_beside_it_are_free(web: App, foreign: App, host: str) -> None:
    domain_add(app=web, host="shop.example.com", created_by=None)
    domain_add(app=web, host="*.wild.example.com", created_by=None)
    domain_add(app=foreign, host=host, created_by=None)


def test_paths_of_a_name_may_lead_to_several_apps_of_a_project(web: App, other: App) -> None:
    domain_add(app=web, host="shop.example.com", created_by=None)
    domain_add(app=other, host="shop.example.com", path="/api", created_by=None)
    with pytest.raises(InvalidSource, match="belongs to the app shop/api"):
        domain_add(app=web, host="shop.example.com", path="/api/", created_by=None)


@pytest.mark.parametrize(
    "host", ["*.localhost", "localhost", "*.mist.internal", "x.localhost", "*.com", "*", "*.*.a.b"]
)
def test_names_of_mist_itself_and_too_wide_ones_are_refused(web: App, host: str) -> None:
    with pytest.raises(InvalidSource):
        domain_add(app=web, host=host, created_by=None)


@pytest.mark.parametrize("path", ["api", "/a b", "/../x", "/.well-known", "/a`b", "/a\n", "//a"])
def test_a_bad_path_is_told_beside_its_field(
    client: Client, alice: User, web: App, path: str
) -> None:
    client.force_login(alice)
    fields = {"host": "shop.example.com", "path": path}
    page = client.post(URL, fields).content.decode()
    # Django's form takes space at both ends away.
    if path.strip() == "/a":
        assert Domain.objects.get().path == "/a"
    else:
        assert "A path starts with" in page and not Domain.objects.exists()


def test_an_internationalised_name_is_shown_as_people_write_it(
    client: Client, alice: User, web: App
) -> None:
    client.force_login(alice)
    client.post(URL, {"host": "Bücher.example"})
    domain = Domain.objects.get()
    assert (domain.host, domain.shown) == ("xn--bcher-kva.example", "bücher.example")
    assert "bücher.example" in client.get(URL).content.decode()


def test_a_name_is_moved_only_to_where_the_person_may_change_things(
    client: Client, bob: User, web: App, other: App, foreign: App
) -> None:
    for project, role in (
        (web.project, ProjectRole.DEVELOPER),
        (foreign.project, ProjectRole.VIEWER),
    ):
        Membership.objects.update_or_create(user=bob, project=project, defaults={"role": role})
    client.force_login(bob)
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    page = client.get(f"{URL}{domain.pk}/").content.decode()
    assert "shop/api" in page and "rival/web" not in page
    refused = client.post(f"{URL}{domain.pk}/move/", {"to": foreign.pk})
    assert "Choose an app." in refused.content.decode()
    assert client.post(f"{URL}{domain.pk}/move/", {"to": other.pk}).status_code == 302
    domain.refresh_from_db()
    assert domain.app == other


def test_a_removed_name_is_free_for_others(web: App, foreign: App) -> None:
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    domain_remove(domain=domain)
    domain_add(app=foreign, host="shop.example.com", created_by=None)
