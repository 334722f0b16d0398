"""An app's public routes, as the file that Traefik reads: which host names and paths lead there.

Nothing that a person typed becomes configuration: names and paths are checked once more here, where
they are put between quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.engine.backends import Backend, rolling_service, rolling_services, service_of
from apps.engine.errors import InvalidSource
from apps.engine.sources import check_host_name
from apps.engine.traffic_rules import (
    AWAY_PAGE,
    NO_RULES,
    STEPS,
    TrafficRules,
    add_rules,
    maintenance_page,
)

RETRY_SECONDS = "5"
"""After which visitors of an app that makes way are told to come again."""
EXACT, WILDCARD = 20_000, 10_000
"""Priorities in Traefik: a name beats a wildcard, then the longer path beats the shorter one, by so
many `STEPS` that what an app's rules add stays in between. Left to itself Traefik goes by the
length of the rule, and many names make a long one."""
MAX_PATH = 200
WILD = "*."
_TLS = "-tls"
"""Ends the names of routers for HTTPS."""
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_KEY = re.compile(r"[a-z0-9]*")
_TARGET = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9-]*")


@dataclass(frozen=True)
class Https:
    """How an address is answered over HTTPS, beside plain HTTP."""

    resolver: str = ""
    """Which of Traefik's certificate resolvers gets a certificate for the name; empty for one that
    lies ready."""
    redirects: bool = False
    """Whether visitors who come by plain HTTP are sent on to HTTPS."""
    port: int = 443
    hsts_seconds: int = 0
    """For how long browsers are told to come by HTTPS only; 0 for not at all."""
    options: str = ""
    """Which of Traefik's TLS options, for example `modern@file`; empty for the default ones."""


@dataclass(frozen=True)
class Route:
    """One host name of an app, or one path of it."""

    host: str
    """`*.example.com` for every name directly below."""
    path: str = ""
    """`/api` for that path and all below; empty for everything."""
    strips: bool = False
    """Whether the app is asked without the path."""
    port: int | None = None
    """Another port of the app than its first one."""
    redirect_to: str = ""
    """`https://shop.example.com` where visitors are sent on to, with path and query."""
    key: str = ""
    """Names its router. Empty for a plain name, which shares the app's own."""
    rules: TrafficRules | None = None
    """Its own, instead of the app's."""
    https: Https | None = None
    """None where it is answered over plain HTTP only. Of names that share a router, all have the
    same or none."""

    @property
    def is_wild(self) -> bool:
        return self.host.startswith(WILD)


def check_host_pattern(text: str) -> str:
    """A host name as `check_host_name` has it, or `*.` before one of two labels or more. Raises
    `InvalidSource`."""
    if not text.startswith(WILD):
        return check_host_name(text)
    name = check_host_name(text.removeprefix(WILD))
    if "." not in name:
        raise InvalidSource(
            "A wildcard stands before a name of two parts or more, for example *.example.com."
        )
    return WILD + name


def check_path_prefix(text: str) -> str:
    """The path that a route is for, without a slash at its end; empty for all. Raises
    `InvalidSource`."""
    path = text.rstrip("/")
    if path and (len(path) > MAX_PATH or not _PATH.fullmatch(path)):
        raise InvalidSource(
            "A path starts with '/' and has letters, digits and . _ ~ - in its parts, none of "
            f"which begins with a dot, and at most {MAX_PATH} characters, for example /api."
        )
    return path


def closed_service(router: str) -> str:
    """What a router leads to while its app is away: a service without servers."""
    return f"{router}-closed"


def app_routes(
    *,
    app: str,
    service: str,
    routes: Sequence[Route],
    containers: int = 1,
    rules: TrafficRules = NO_RULES,
    backends: Sequence[Backend] = (),
) -> dict[str, Any]:
    """The app's dynamic file; empty when it has no plain name. Of several containers, a request
    that one does not take, since it is ending or not listening yet, goes to another; Traefik does
    that only as long as nothing of the request was sent. `rules` hold for every route without its
    own, and come before everything else. Where there are `backends`, all routes lead to these in
    place of the `service`.

    Raises `InvalidSource` (a `ValueError`) for anything that is not a plain host name or path, so
    none can end its quotes and add a rule of its own.
    """
    main = f"app-{app}"
    rolling = rolling_service(main) if backends else ""

    def leads_to(route: Route) -> str:
        return service_of(rolling or service, route.port) + ("" if rolling else "@docker")

    http = routers_of(main, routes, leads_to)
    if http and rolling:
        ports = {route.port for route in routes if not route.redirect_to}
        http["services"] = rolling_services(rolling, backends, ports)
    if http and containers > 1:
        # The next try takes the next server in turn, which may be the same one again while others
        # ask too: with one of three down, 3 tries lost 1 request in 10 and 9 tries none.
        retry = {"attempts": 3 * containers, "initialInterval": "10ms"}
        _everywhere(http, f"{main}-retry", {"retry": retry})
    answer_https(http, main, routes)
    for name, its, prefix in _ruled(http, main, routes, rules):
        add_rules(http, name, its, prefix=prefix)
    return {"http": http} if http else {}


def closed_routes(
    *, app: str, routes: Sequence[Route], rules: TrafficRules = NO_RULES
) -> dict[str, Any]:
    """As `app_routes`, for an app that is away: 503, and when to ask again. Of the rules only
    maintenance counts, for everybody: there is nothing to let anybody in to."""
    closed = closed_service(f"app-{app}")
    http = routers_of(f"app-{app}", routes, lambda route: closed)
    if not http:
        return {}
    http["services"] = {closed: {"loadBalancer": {"servers": []}}}
    headers = {"customResponseHeaders": {"Retry-After": RETRY_SECONDS, "Cache-Control": "no-store"}}
    _everywhere(http, closed, {"headers": headers})
    for name, its, prefix in _ruled(http, f"app-{app}", routes, rules):
        page = maintenance_page(its.maintenance, prefix=prefix) if its.maintenance else {}
        http["middlewares"] |= page
        http["routers"][name]["middlewares"] = [*page] or [closed, AWAY_PAGE]
    answer_https(http, f"app-{app}", routes)
    return {"http": http}


# ------------------------------------------------------------------------------------------ parts


def routers_of(main: str, routes: Sequence[Route], service: Any) -> dict[str, Any]:
    """All routers, the plain names in one of them, and the middlewares they bring."""
    plain = [route for route in routes if not route.key]
    if not plain:
        return {}
    routers = {main: _router(" || ".join(_host_rule(one) for one in plain), EXACT + 1)}
    routers[main]["service"] = service(plain[0])
    middlewares: dict[str, Any] = {}
    for route in routes:
        if not route.key:
            continue
        name = _router_name(main, route)
        routers[name] = router = _router(_rule(route), _priority(route))
        router["service"] = "noop@internal" if route.redirect_to else service(route)
        if route.redirect_to:
            middlewares[f"{name}-redirect"] = _redirect(route.redirect_to)
            router["middlewares"] = [f"{name}-redirect"]
        elif route.strips and route.path:
            prefix = {"prefixes": [check_path_prefix(route.path)]}
            middlewares[f"{name}-strip"] = {"stripPrefix": prefix}
            router["middlewares"] = [f"{name}-strip"]
    return {"routers": routers} | ({"middlewares": middlewares} if middlewares else {})


def _ruled(
    http: dict[str, Any], main: str, routes: Sequence[Route], rules: TrafficRules
) -> list[tuple[str, TrafficRules, str]]:
    """The routers that lead to the app: name, rules, and what names of middlewares begin with."""
    own = {_router_name(main, one): one.rules for one in routes if one.rules and one.key}
    return [
        (name, own.get(plain, rules), plain if plain in own else main)
        for name, router in list(http.get("routers", {}).items())
        if router["service"] != "noop@internal" and (plain := name.removesuffix(_TLS))
    ]


def _router(rule: str, priority: int) -> dict[str, Any]:
    return {"entryPoints": ["web"], "rule": rule, "priority": priority}


def _everywhere(http: dict[str, Any], name: str, middleware: dict[str, Any]) -> None:
    """One more middleware, of every router that leads to the app."""
    http.setdefault("middlewares", {})[name] = middleware
    for router in http["routers"].values():
        if router["service"] != "noop@internal":
            router["middlewares"] = [name, *router.get("middlewares", [])]


def answer_https(http: dict[str, Any], main: str, routes: Sequence[Route]) -> None:
    """A twin of each router on the other entry point, where its names have HTTPS. Last of all: who
    is sent on to HTTPS is so before anything is asked of them."""
    sharing: dict[str, list[Route]] = {}
    for route in routes:
        sharing.setdefault(_router_name(main, route), []).append(route)
    for name, everyone in sharing.items():
        group = [one for one in everyone if one.https]
        if not group:
            continue
        https, plain = group[0].https, http["routers"].get(name)
        if https is None or plain is None:
            continue
        twin = plain | {"entryPoints": ["websecure"], "tls": _tls(https, group)}
        if not group[0].key:
            twin["rule"] = " || ".join(_host_rule(one) for one in group)
        if https.hsts_seconds:
            age = {"stsSeconds": https.hsts_seconds}
            http.setdefault("middlewares", {})[f"{name}-hsts"] = {"headers": age}
            twin["middlewares"] = [f"{name}-hsts", *plain.get("middlewares", [])]
        http["routers"][f"{name}{_TLS}"] = twin
        if https.redirects and group == everyone and not group[0].redirect_to:
            # One that browsers keep for good could not be taken back. HSTS binds them anyway.
            scheme: dict[str, Any] = {"scheme": "https", "port": str(https.port)}
            scheme["permanent"] = bool(https.hsts_seconds)
            http.setdefault("middlewares", {})[f"{name}-https"] = {"redirectScheme": scheme}
            plain["middlewares"] = [f"{name}-https", *plain.get("middlewares", [])]


def _tls(https: Https, group: Sequence[Route]) -> dict[str, Any]:
    if not _NAME.fullmatch(https.resolver):
        raise ValueError(f"Not a resolver's name: {https.resolver!r}")
    found: dict[str, Any] = {"options": https.options} if https.options else {}
    if https.resolver:
        # One certificate for each: a name whose certificate cannot be had keeps none from another.
        found["domains"] = [{"main": check_host_pattern(one.host)} for one in group]
        found["certResolver"] = https.resolver
    return found


def _router_name(main: str, route: Route) -> str:
    return f"{main}-{_checked_key(route.key)}" if route.key else main


def _host_rule(route: Route) -> str:
    host = check_host_pattern(route.host)
    if not route.is_wild:
        return f"Host(`{host}`)"
    rest = host.removeprefix(WILD).replace(".", r"\.")
    return rf"HostRegexp(`^[a-z0-9-]+\.{rest}$`)"


def _rule(route: Route) -> str:
    """Traefik's PathPrefix goes by characters: `/api` would be for `/apis` too."""
    host, path = _host_rule(route), check_path_prefix(route.path)
    return f"{host} && (Path(`{path}`) || PathPrefix(`{path}/`))" if path else host


def _priority(route: Route) -> int:
    return (WILDCARD if route.is_wild else EXACT) + STEPS * len(route.path) + 1


def _redirect(target: str) -> dict[str, Any]:
    if not _TARGET.fullmatch(target):
        raise InvalidSource(f"No address to send visitors on to: {target!r}.")
    where = {"regex": "^https?://[^/]+(/.*)?$", "replacement": f"{target}${{1}}"}
    return {"redirectRegex": where | {"permanent": True}}


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"Not a route's key: {key!r}")
    return key
