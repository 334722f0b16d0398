"""The other entry point's half of an app's dynamic file."""

from __future__ import annotations

from typing import Any

import pytest

from apps.engine.routes import Https, Route, app_routes, closed_routes

AUTOMATIC = Https(resolver="mist-http", redirects=True, hsts_seconds=3600)


def written(*routes: Route) -> dict[str, Any]:
    http: dict[str, Any] = app_routes(app="7", service="mist-7-1", routes=routes)["http"]
    return http


def test_a_name_without_https_is_on_the_plain_entry_point_only() -> None:
    routers = written(Route("a.example"))["routers"]
    assert {one for router in routers.values() for one in router["entryPoints"]} == {"web"}


def test_a_name_with_https_is_answered_on_both_and_sent_on() -> None:
    http = written(Route("a.example", https=AUTOMATIC))
    plain, twin = http["routers"]["app-7"], http["routers"]["app-7-tls"]
    assert twin["entryPoints"] == ["websecure"] and twin["service"] == plain["service"]
    assert twin["tls"] == {"certResolver": "mist-http", "domains": [{"main": "a.example"}]}
    assert twin["middlewares"] == ["app-7-hsts"] and plain["middlewares"] == ["app-7-https"]
    assert http["middlewares"]["app-7-https"]["redirectScheme"]["port"] == "443"


def test_each_name_of_a_shared_router_has_a_certificate_of_its_own() -> None:
    http = written(Route("a.example", https=Https("x")), Route("b.example", https=Https("x")))
    domains = http["routers"]["app-7-tls"]["tls"]["domains"]
    assert domains == [{"main": "a.example"}, {"main": "b.example"}]


def test_a_shared_router_answers_by_https_for_those_names_only_that_have_it() -> None:
    http = written(Route("a.example"), Route("b.example", https=Https("x")))
    assert http["routers"]["app-7"]["rule"] == "Host(`a.example`) || Host(`b.example`)"
    assert http["routers"]["app-7-tls"]["rule"] == "Host(`b.example`)"


def test_a_redirect_to_the_primary_name_is_one_step_from_plain_http_too() -> None:
    www = Route("www.a.example", redirect_to="https://a.example", key="d1", https=AUTOMATIC)
    http = written(Route("a.example", https=AUTOMATIC), www)
    assert http["routers"]["app-7-d1"]["middlewares"] == ["app-7-d1-redirect"]
    twin = http["routers"]["app-7-d1-tls"]
    assert twin["middlewares"] == ["app-7-d1-hsts", "app-7-d1-redirect"]


def test_an_app_that_makes_way_says_so_by_https_too() -> None:
    routes = [Route("a.example", https=Https())]
    twin = closed_routes(app="7", routes=routes)["http"]["routers"]["app-7-tls"]
    assert twin["service"] == "app-7-closed" and twin["tls"] == {}


def test_a_resolver_name_is_not_free_text() -> None:
    with pytest.raises(ValueError, match="resolver"):
        written(Route("a.example", https=Https("x\ny")))


def test_nobody_is_sent_on_to_https_by_a_router_that_a_name_without_it_shares() -> None:
    http = written(Route("a.example"), Route("b.example", https=AUTOMATIC))
    assert "middlewares" not in http["routers"]["app-7"]
