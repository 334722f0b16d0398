"""Routes that lead to containers by their addresses."""

from __future__ import annotations

from typing import Any

import pytest

from apps.engine.backends import Backend, service_of
from apps.engine.labels import probe_labels, service_facts
from apps.engine.routes import Https, Route, app_routes

OLD = Backend("10.192.0.2", 8000, (9000,))
NEW = Backend("10.192.0.3", 8080, (9000, 9100))
PLAIN = Route("web.example.com")


def led(*routes: Route, backends: tuple[Backend, ...] = (OLD, NEW)) -> dict[str, Any]:
    found = app_routes(app="7", service="mist-7-1", routes=routes, containers=2, backends=backends)
    return dict(found["http"])


def servers(http: dict[str, Any], service: str) -> list[str]:
    return [one["url"] for one in http["services"][service]["loadBalancer"]["servers"]]


def test_each_is_led_to_at_its_own_port() -> None:
    http = led(PLAIN)
    assert http["routers"]["app-7"]["service"] == "app-7-rolling"
    assert servers(http, "app-7-rolling") == ["http://10.192.0.2:8000", "http://10.192.0.3:8080"]
    assert http["middlewares"]["app-7-retry"]["retry"]["attempts"] == 6


@pytest.mark.parametrize(
    ("port", "addresses"),
    [
        (9000, ["http://10.192.0.2:9000", "http://10.192.0.3:9000"]),
        (9100, ["http://10.192.0.3:9100"]),
        (8080, ["http://10.192.0.3:8080"]),
    ],
)
def test_a_route_of_another_port_leads_to_those_that_have_it(
    port: int, addresses: list[str]
) -> None:
    http = led(PLAIN, Route("more.example.com", port=port, key="d1"))
    name = service_of("app-7-rolling", port)
    assert http["routers"]["app-7-d1"]["service"] == name
    assert servers(http, name) == addresses


def test_redirects_and_https_are_as_ever() -> None:
    moved = Route("old.example.com", redirect_to="https://web.example.com", key="d1")
    http = led(Route("web.example.com", https=Https(resolver="le")), moved)
    assert http["routers"]["app-7-d1"]["service"] == "noop@internal"
    assert http["routers"]["app-7-tls"]["service"] == "app-7-rolling"
    assert set(http["services"]) == {"app-7-rolling"}


def test_what_labels_say_of_a_container_holds_by_address_too() -> None:
    labels = probe_labels(
        container_name="web",
        service="mist-7-2",
        port=50051,
        network="shop",
        instance="x",
        own="mist-7-2-1",
        scheme="h2c",
        sticky=True,
    )
    http = led(PLAIN, backends=(Backend("10.192.0.4", 50051, **service_facts(labels, "mist-7-2")),))
    balancer = http["services"]["app-7-rolling"]["loadBalancer"]
    assert balancer["servers"] == [{"url": "h2c://10.192.0.4:50051"}]
    cookie = {f"cookie.{name.lower()}" for name in balancer["sticky"]["cookie"]}
    kept = "traefik.http.services.mist-7-2.loadbalancer.sticky."
    assert cookie == {one.removeprefix(kept) for one in labels if one.startswith(kept)}
    plain = probe_labels(
        container_name="web", service="mist-7-1", port=8000, network="shop", instance="x"
    )
    assert service_facts(plain, "mist-7-1") == {"scheme": "http", "sticky": False}
