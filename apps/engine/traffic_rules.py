"""What the proxy does with requests before an app gets them, as parts of the app's dynamic file.

Each rule is a middleware. Three of them want routers besides the one that leads to the app:

- *Nobody there*: a router of the same rule just below, which Traefik takes while the container that
  the first one leads to is gone (a router whose service does not exist is none).
- *Body size*: Traefik's own limit keeps every body whole before the app sees its first byte, so it
  is no way for large uploads. A body that says its length is let through as a stream or refused
  by a router that reads the length; only one that does not say it is kept and counted.
- *Addresses of visitors*: behind a trusted proxy they are in `X-Forwarded-For`. Traefik finds none
  there for who comes straight, so both have a router.

Nothing that a person typed becomes configuration: everything is checked once more where it is put
in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.engine.traffic_checks import (
    check_header_name,
    check_header_value,
    check_user,
    checked_hash,
)

PAGES = "/visitor-pages/"
"""Where Mist's web servers have what visitors are told when no app can tell them."""
PAGES_SERVICE, CLOSED = "mist-pages", "mist-closed"
AWAY, AWAY_PAGE, TOO_LARGE = "mist-away", "mist-away-page", "mist-too-large"
"""What `shared_rules` declares for all files: services, then middlewares."""
AWAY_SECONDS, MAINTENANCE_SECONDS = 60, 300
"""After which visitors are told to come again."""
STEPS = 10
"""Priorities between one path and another that is a character longer."""
FIRST = ("-https", "-hsts")
"""What middlewares end in that come before all rules: nobody is asked for a password over HTTP
whom HTTPS is there for."""
REALM = "Sign in"
"""What browsers may show where they ask for a password."""
NOBODY = "255.255.255.255/32"
"""No connection comes from the broadcast address; an empty list would be refused."""
NOT_LET_IN = 510
"""Which no app answers any more ("Not Extended", RFC 2774), so what an app says is never taken for
it; visitors see a 503."""
MEMORY_BYTES = 64 * 1024
"""Of a body that is kept; the rest goes to the disk."""
COMPRESSED = (
    *("text/html", "text/css", "text/plain", "text/javascript", "text/xml", "text/csv"),
    *("application/javascript", "application/json", "application/ld+json", "application/xml"),
    *("application/manifest+json", "application/rss+xml", "application/atom+xml"),
    *("application/wasm", "application/xhtml+xml", "image/svg+xml"),
)
"""Named one by one: streams of events, gRPC, pictures, films and archives are left as they are."""
_IPV6_SITE = 64
"""Bits by which visitors of IPv6 are counted: one of them has a whole /64 to choose from."""


@dataclass(frozen=True)
class RateLimit:
    """So many requests of one address in a period, on average, and so many at once."""

    average: int
    period_seconds: int
    burst: int


@dataclass(frozen=True)
class Maintenance:
    page: int
    """Names the page that Mist has for it."""
    allowed: tuple[str, ...] = ()
    """Networks that are let in all the same."""
    retry_seconds: int = MAINTENANCE_SECONDS


@dataclass(frozen=True)
class TrafficRules:
    """Those of an app, or of one of its names."""

    users: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Name and bcrypt hash of who may come in; empty for everybody."""
    allowed: tuple[str, ...] = ()
    """Networks that may come in; empty for all."""
    rate: RateLimit | None = None
    body_bytes: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    compresses: bool = False
    maintenance: Maintenance | None = None
    trusted: tuple[str, ...] = ()
    """Networks of proxies whose word about a visitor's address counts."""
    has_streams: bool = False
    """Whether bodies of gRPC, which have no end that is known before, are let through uncounted."""

    @property
    def is_asked_behind(self) -> bool:
        """Whether it matters which address a visitor has who comes through a trusted proxy."""
        lets_in = self.maintenance is not None and self.maintenance.allowed
        return bool(self.trusted and (self.allowed or self.rate or lets_in))


NO_RULES = TrafficRules()


def shared_rules(pages_url: str) -> dict[str, Any]:
    """The file that all others lean on: Mist's pages for visitors, and what is said under a name
    that nobody has. Where Mist is down, Traefik says the same with its own few words."""
    # What is below mist.internal is asked by Mist itself, which wants to hear Traefik alone.
    nothing: dict[str, Any] = {"rule": r"!HostRegexp(`(^|\.)mist\.internal$`)", "priority": 1}
    nothing["service"] = "noop@internal"
    nothing["middlewares"] = ["mist-nothing"]
    server = {"servers": [{"url": pages_url}], "passHostHeader": False}
    return {
        "http": {
            "routers": {
                "mist-nothing": nothing | {"entryPoints": ["web"]},
                "mist-nothing-secure": nothing | {"entryPoints": ["websecure"], "tls": {}},
            },
            "services": {
                PAGES_SERVICE: {"loadBalancer": server},
                CLOSED: {"loadBalancer": {"servers": []}},
            },
            "middlewares": {
                "mist-nothing": _page("nothing", 418, 404),
                "mist-away-headers": _told_to_wait(AWAY_SECONDS),
                AWAY_PAGE: _page("away", 503, 503),
                AWAY: {"chain": {"middlewares": ["mist-away-headers", AWAY_PAGE]}},
                TOO_LARGE: _page("too-large", 503, 413),
            },
        }
    }


def add_rules(
    http: dict[str, Any],
    name: str,
    rules: TrafficRules,
    *,
    prefix: str,
) -> None:
    """Put the rules before the router `name` of an app's file, and beside it the routers that they
    need. `prefix` names the middlewares, which routers of the same rules share."""
    router = http["routers"][name]
    middlewares = http.setdefault("middlewares", {})
    first = [one for one in router.get("middlewares", []) if one.endswith(FIRST)]
    last = [one for one in router.get("middlewares", []) if one not in first]
    plain = _middlewares(rules, prefix, behind=False)
    behind = _middlewares(rules, prefix, behind=True) if rules.is_asked_behind else {}
    middlewares |= plain | behind
    away = [AWAY]
    if rules.maintenance is not None:
        page = maintenance_page(rules.maintenance, prefix=prefix)
        middlewares |= page
        away = [*page]
    _beside(http, name, "away", -1, service=CLOSED, middlewares=[*first, *away])
    router["middlewares"] = [*first, *plain, *last]
    ways = [(name, last)]
    if rules.body_bytes is not None:
        rule = f"HeaderRegexp(`Content-Length`, `{more_than(rules.body_bytes)}`)"
        _beside(http, name, "large", 5, rule, service=CLOSED, middlewares=[*first, TOO_LARGE])
        middlewares[f"{prefix}-counted"] = _counted(rules.body_bytes)
        counted = [f"{prefix}-counted", *last]
        _beside(http, name, "unsized", 2, _no_length(rules), middlewares=[*first, *plain, *counted])
        ways.append((f"{name}-unsized", counted))
    for way, rest in ways if behind else ():
        rule = _came_by(rules.trusted)
        _beside(http, way, "behind", 1, rule, middlewares=[*first, *behind, *rest])
    if not router["middlewares"]:
        del router["middlewares"]
    if not middlewares:
        del http["middlewares"]


def maintenance_page(pause: Maintenance, *, prefix: str) -> dict[str, Any]:
    """Middlewares, in their order, of a router to a service without servers: the app's page."""
    return {
        f"{prefix}-wait": _told_to_wait(pause.retry_seconds),
        f"{prefix}-maintenance": _page(f"maintenance/{int(pause.page)}", 503, 503),
    }


def more_than(most: int) -> str:
    """A pattern of the decimal numbers above `most`, whatever zeros they begin with."""
    digits = str(most)
    longer = f"[1-9][0-9]{{{len(digits)},}}"
    higher = [
        f"{digits[:place]}[{int(digit) + 1}-9]" + _any_digits(len(digits) - place - 1)
        for place, digit in enumerate(digits)
        if digit != "9"
    ]
    return f"^0*(?:{'|'.join([longer, *higher])})$"


# ------------------------------------------------------------------------------------------ parts


def _any_digits(count: int) -> str:
    return f"[0-9]{{{count}}}" if count else ""


def _beside(
    http: dict[str, Any], name: str, suffix: str, step: int, more: str = "", **other: Any
) -> None:
    """Another router for the same requests, or for those of them that `more` says."""
    router = http["routers"][name]
    rule = f"({router['rule']}) && {more}" if more else router["rule"]
    changed = {"rule": rule, "priority": router["priority"] + step, **other}
    if "tls" in router:
        # The certificate is that of the first one, for whoever asks for the name; the options have
        # to be the same for all that answer to it.
        kept = {key: value for key, value in router["tls"].items() if key == "options"}
        changed["tls"] = kept
    http["routers"][f"{name}-{suffix}"] = router | changed


def _no_length(rules: TrafficRules) -> str:
    """A body may follow, and nobody says how long it is. HTTP/1.1 takes a length beside a chunked
    body away, and HTTP/2 holds the sender to it, so one that is said is true."""
    without = " && ".join(f"!Method(`{one}`)" for one in ("GET", "HEAD", "OPTIONS"))
    streams = " && !HeaderRegexp(`Content-Type`, `^application/grpc`)"
    rule = f"!HeaderRegexp(`Content-Length`, `^[0-9]`) && {without}"
    return rule + (streams if rules.has_streams else "")


def _came_by(trusted: Sequence[str]) -> str:
    networks = " || ".join(f"ClientIP(`{one}`)" for one in _networks(trusted))
    return f"({networks}) && HeaderRegexp(`X-Forwarded-For`, `[0-9a-fA-F]`)"


def _networks(written: Sequence[str]) -> list[str]:
    return [str(ipaddress.ip_network(one, strict=False)) for one in written]


def _middlewares(rules: TrafficRules, prefix: str, *, behind: bool) -> dict[str, Any]:
    """By name, the outermost first. Those that ask for the visitor's address are different ones for
    who comes through a trusted proxy."""
    strategy = {"ipStrategy": {"excludedIPs": _networks(rules.trusted)}} if behind else {}
    mark = "-behind" if behind else ""
    found: dict[str, Any] = {}
    if (pause := rules.maintenance) is not None:
        found[f"{prefix}-wait"] = _told_to_wait(pause.retry_seconds)
        found[f"{prefix}-page"] = _page(f"maintenance/{int(pause.page)}", NOT_LET_IN, 503)
        allowed = {"sourceRange": _networks(pause.allowed) or [NOBODY]}
        gate = allowed | {"rejectStatusCode": NOT_LET_IN} | strategy
        found[f"{prefix}-gate{mark}"] = {"ipAllowList": gate}
    if rules.allowed:
        allow = {"sourceRange": _networks(rules.allowed)} | strategy
        found[f"{prefix}-allow{mark}"] = {"ipAllowList": allow}
    if rules.rate is not None:
        found[f"{prefix}-rate{mark}"] = _rate(rules.rate, strategy)
    if rules.users:
        users = [f"{check_user(name)}:{checked_hash(key)}" for name, key in rules.users]
        # The app does not get to know the password.
        found[f"{prefix}-users"] = {
            "basicAuth": {"users": users, "realm": REALM, "removeHeader": True}
        }
    if rules.headers:
        headers = {check_header_name(n): check_header_value(n, v) for n, v in rules.headers}
        found[f"{prefix}-headers"] = {"headers": {"customResponseHeaders": headers}}
    if rules.compresses:
        found[f"{prefix}-compress"] = {"compress": {"includedContentTypes": list(COMPRESSED)}}
    return found


def _rate(rate: RateLimit, strategy: dict[str, Any]) -> dict[str, Any]:
    who = strategy or {"ipStrategy": {"ipv6Subnet": _IPV6_SITE}}
    limits = {"average": int(rate.average), "period": f"{int(rate.period_seconds)}s"}
    return {"rateLimit": limits | {"burst": int(rate.burst), "sourceCriterion": who}}


def _counted(most: int) -> dict[str, Any]:
    sizes = {"maxRequestBodyBytes": int(most), "memRequestBodyBytes": MEMORY_BYTES}
    return {"buffering": sizes | {"memResponseBodyBytes": MEMORY_BYTES}}


def _told_to_wait(seconds: int) -> dict[str, Any]:
    headers = {"Retry-After": str(int(seconds)), "Cache-Control": "no-store"}
    return {"headers": {"customResponseHeaders": headers}}


def _page(name: str, status: int, shown: int) -> dict[str, Any]:
    """Mist's page instead of what came with `status`; visitors get it with the status `shown`."""
    errors: dict[str, Any] = {
        "status": [str(status)],
        "service": PAGES_SERVICE,
        "query": f"{PAGES}{name}",
    }
    if shown != status:
        errors["statusRewrites"] = {str(status): shown}
    return {"errors": errors}
