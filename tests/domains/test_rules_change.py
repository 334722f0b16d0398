"""Traffic rules on their pages: who may change them, what is kept, what is written for the proxy."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments import reconciliation
from apps.domains.models import Domain, TrafficRules, TrafficUser
from apps.domains.rule_services import rules_change, rules_join, rules_part, user_remove, user_save
from apps.domains.services import domain_add, domain_move
from apps.engine.errors import InvalidSource
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import app_create
from tests.deployments.test_deployment_run import deploy

URL = "/projects/shop/apps/web/traffic/"
PASSWORD = "correct-horse"


@pytest.fixture
def page(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def http(fake: FakeEngine, app: App) -> dict[str, Any]:
    reconciliation.apply_wishes()
    file: Any = fake.proxy.read_routes(str(app.pk)) or {"http": {"routers": {}}}
    found: dict[str, Any] = file["http"]
    return found


def test_a_user_is_kept_as_a_hash_that_no_page_shows(
    page: Client, fake: FakeEngine, web: App
) -> None:
    deploy(web)
    sent = {"rule": "user", "name": "eve", "password": PASSWORD}
    assert page.post(URL, sent).status_code == 302
    user = TrafficUser.objects.get()
    assert user.password_hash.startswith("$2b$") and PASSWORD not in user.password_hash
    auth = http(fake, web)["middlewares"][f"app-{web.pk}-users"]["basicAuth"]
    assert auth["users"] == [f"eve:{user.password_hash}"] and auth["removeHeader"]
    shown = page.get(URL).content.decode()
    assert "eve" in shown and "$2b$" not in shown and PASSWORD not in shown
    # In the database it is encrypted, and not in the trail at all.
    raw = TrafficUser.objects.extra(select={"raw": "password_hash"}).values_list("raw", flat=True)
    assert "$2b$" not in str(raw.get())
    events = str(list(AuditEvent.objects.values_list("before", "after", "thing_name")))
    assert "eve" in events and "$2b$" not in events and PASSWORD not in events


def test_the_same_user_gets_another_password(web: App, alice: User) -> None:
    first = user_save(app=web, domain=None, name="eve", password=PASSWORD, by=alice).password_hash
    user_save(app=web, domain=None, name="eve", password="another-one", by=alice)
    assert TrafficUser.objects.get().password_hash != first
    actions = AuditEvent.objects.filter(action__startswith="traffic_user")
    assert set(actions.values_list("action", flat=True)) == {
        "traffic_user.add",
        "traffic_user.change",
    }


def test_each_form_saves_its_own_rules_and_no_others(
    page: Client, fake: FakeEngine, web: App
) -> None:
    deploy(web)
    for sent in (
        {"rule": "allowed", "allowed_networks": "10.0.0.7/8, ::1"},
        {"rule": "rate", "rate_average": "5", "rate_period_seconds": "60", "rate_burst": ""},
        {"rule": "body", "body_limit_mb": "2"},
        {"rule": "headers", "headers": "X-Odd: {{ 1 }}\nServer:"},
        {"rule": "compression", "compresses": "on"},
        {
            "rule": "maintenance",
            "maintenance": "on",
            "maintenance_minutes": "",
            "maintenance_networks": "192.0.2.1",
            "maintenance_page": "<h1>Soon</h1>",
        },
    ):
        assert page.post(URL, sent).status_code == 302, sent
    rules = TrafficRules.objects.get()
    assert rules.allowed_networks == ["10.0.0.0/8", "::1/128"]
    assert (rules.rate_average, rules.rate_period_seconds, rules.rate_burst) == (5, 60, 5)
    assert rules.headers == [["X-Odd", "{{ 1 }}"], ["Server", ""]]
    assert (rules.body_limit_mb, rules.compresses, rules.maintenance) == (2, True, True)
    assert rules.maintenance_seconds == 300 and rules.maintenance_page == "<h1>Soon</h1>"
    written = http(fake, web)
    chain = [
        n.removeprefix(f"app-{web.pk}-") for n in written["routers"][f"app-{web.pk}"]["middlewares"]
    ]
    assert chain == ["wait", "page", "gate", "allow", "rate", "headers", "compress"]
    # What was typed for a page is Mist's to say, not the proxy's to read.
    assert "Soon" not in str(written)
    shown = page.get(URL).content.decode()
    assert "10.0.0.0/8\n::1/128" in shown and "X-Odd: {{ 1 }}\nServer:" in shown


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"rule": "allowed", "allowed_networks": "10.0.0.0/33"}, "&#x27;10.0.0.0/33&#x27; is no"),
        ({"rule": "rate", "rate_average": "0", "rate_period_seconds": "1"}, "whole number from 1"),
        ({"rule": "rate", "rate_average": "5", "rate_period_seconds": "7"}, "Select a valid"),
        ({"rule": "body", "body_limit_mb": "x"}, "whole number from 1"),
        ({"rule": "headers", "headers": "Content-Length: 1"}, "stays the proxy"),
        ({"rule": "user", "name": "a:b", "password": PASSWORD}, "A user name has"),
        ({"rule": "user", "name": "eve", "password": "short"}, "at least 8"),
        ({"rule": "maintenance", "maintenance_page": "x" * 70_000}, "at most 64 KB"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    page: Client, web: App, sent: dict[str, str], words: str
) -> None:
    answer = page.post(URL, sent)
    assert answer.status_code == 200 and words in answer.content.decode()
    assert not TrafficRules.objects.exists() and not TrafficUser.objects.exists()


def test_a_rule_that_there_is_not_is_refused(page: Client, web: App) -> None:
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    assert page.post(URL, {"rule": "nothing"}).status_code == 400
    # The domain has none of its own: what is sent for it is not taken for the app.
    own = f"/projects/shop/apps/web/domains/{domain.pk}/traffic/"
    assert page.post(own, {"rule": "body", "body_limit_mb": "2"}).status_code == 400
    assert not TrafficRules.objects.exists()


def test_a_viewer_sees_rules_and_changes_none(client: Client, web: App) -> None:
    viewer = User.objects.create_user("vera@example.com", name="Vera")
    Membership.objects.create(user=viewer, project=web.project, role=ProjectRole.VIEWER)
    user_save(app=web, domain=None, name="eve", password=PASSWORD, by=None)
    rules_change(app=web, domain=None, allowed_networks=["10.0.0.0/8"])
    client.force_login(viewer)
    shown = client.get(URL).content.decode()
    assert "eve" in shown and "10.0.0.0/8" in shown and "$2b$" not in shown
    assert "Save" not in shown and 'type="password"' not in shown
    assert client.post(URL, {"rule": "body", "body_limit_mb": "2"}).status_code == 403


def test_a_domain_gets_a_copy_and_goes_its_own_way(
    page: Client, fake: FakeEngine, web: App
) -> None:
    deploy(web)
    domain = domain_add(app=web, host="shop.example.com", https="off", created_by=None)
    own = f"/projects/shop/apps/web/domains/{domain.pk}/traffic/"
    user_save(app=web, domain=None, name="eve", password=PASSWORD, by=None)
    assert "follows" in page.get(own).content.decode()
    assert page.post(own, {"rule": "own"}).status_code == 302
    router = f"app-{web.pk}-d{domain.pk}"
    assert http(fake, web)["routers"][router]["middlewares"] == [f"{router}-users"]
    user = TrafficUser.objects.get(rules__domain=domain)
    removal = f"{URL}users/{user.pk}/remove/"
    assert "everybody comes in" in page.get(removal).content.decode()
    assert page.post(removal).headers["Location"] == own
    assert page.post(own, {"rule": "compression", "compresses": "on"}).status_code == 302
    written = http(fake, web)["routers"]
    assert written[router]["middlewares"] == [f"{router}-compress"]
    assert written[f"app-{web.pk}"]["middlewares"] == [f"app-{web.pk}-users"]
    assert "shop.example.com" in page.get(URL).content.decode()
    assert page.post(f"{own}join/").status_code == 302
    assert router not in http(fake, web)["routers"]
    assert TrafficUser.objects.count() == 1


def test_rules_of_a_domain_move_with_it(fake: FakeEngine, web: App, shop: Project) -> None:
    other = app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)
    deploy(web)
    deploy(other)
    domain = domain_add(app=web, host="shop.example.com", created_by=None)
    rules_part(domain=domain)
    rules_change(app=web, domain=domain, compresses=True)
    domain_move(domain=domain, to=other)
    router = f"app-{other.pk}-d{domain.pk}"
    assert http(fake, other)["routers"][router]["middlewares"] == [f"{router}-compress"]
    assert TrafficRules.objects.get().app == other
    rules_join(domain=Domain.objects.get())
    assert not TrafficRules.objects.exists()


def test_maintenance_closes_an_app_that_was_never_started(fake: FakeEngine, web: App) -> None:
    rules_change(app=web, domain=None, maintenance=True)
    router = http(fake, web)["routers"][f"app-{web.pk}"]
    assert router["service"] == f"app-{web.pk}-closed"
    rules_change(app=web, domain=None, maintenance=False)
    assert http(fake, web)["routers"] == {}


def test_a_deployment_goes_live_in_maintenance(fake: FakeEngine, web: App) -> None:
    rules_change(app=web, domain=None, maintenance=True)
    live = deploy(web)
    router = http(fake, web)["routers"][f"app-{web.pk}"]
    assert router["service"] == f"{live.service}@docker"
    gate = http(fake, web)["middlewares"][f"app-{web.pk}-gate"]["ipAllowList"]
    assert gate == {"sourceRange": ["255.255.255.255/32"], "rejectStatusCode": 510}


def test_sticky_sessions_and_h2c_count_from_the_next_deployment_on(
    fake: FakeEngine, web: App, page: Client
) -> None:
    deploy(web)
    [before] = fake.containers.all.values()
    assert not any("sticky" in key or "scheme" in key for key in before.labels)
    App.objects.filter(pk=web.pk).update(sticky_sessions=True, protocol="h2c", replicas=2)
    web.refresh_from_db()
    shown = page.get("/projects/shop/apps/web/").content.decode()
    assert "Sticky sessions" in shown and "h2c" in shown
    live = deploy(web)
    labels = [c.labels for c in fake.containers.all.values() if c.id in live.container_ids]
    start = f"traefik.http.services.{live.service}"
    assert len(labels) == 2
    for number, one in enumerate(labels, start=1):
        assert one[f"{start}.loadbalancer.server.scheme"] == "h2c"
        assert one[f"{start}-{number}.loadbalancer.server.scheme"] == "h2c"
        assert one[f"{start}.loadbalancer.sticky.cookie.httponly"] == "true"
        assert f"{start}-{number}.loadbalancer.sticky.cookie.name" not in one


def test_there_are_no_more_users_than_the_proxy_can_ask(web: App) -> None:
    rules = rules_change(app=web, domain=None)
    TrafficUser.objects.bulk_create(
        TrafficUser(rules=rules, name=f"n{n}", password_hash="h") for n in range(50)
    )
    with pytest.raises(InvalidSource, match="at most 50"):
        user_save(app=web, domain=None, name="one-more", password=PASSWORD, by=None)
    user_remove(user=TrafficUser.objects.get(name="n7"))
    user_save(app=web, domain=None, name="one-more", password=PASSWORD, by=None)
