"""Traffic rules as parts of an app's dynamic file."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.engine.errors import InvalidSource
from apps.engine.route_files import RouteFiles, routes_text
from apps.engine.routes import Https, Route, app_routes, closed_routes
from apps.engine.traffic_checks import (
    check_headers,
    check_networks,
    check_user,
    hash_password,
)
from apps.engine.traffic_rules import (
    NO_RULES,
    Maintenance,
    RateLimit,
    TrafficRules,
    more_than,
    shared_rules,
)

HASH = "$2b$06$" + "a" * 53
PROXIES = ("127.0.0.0/8", "::1/128")
FULL = TrafficRules(
    users=(("alice", HASH),),
    allowed=("203.0.113.0/24",),
    rate=RateLimit(10, 60, 20),
    body_bytes=1000,
    headers=(("X-Frame-Options", "DENY"),),
    compresses=True,
    maintenance=Maintenance(page=3, allowed=("2001:db8::/32",)),
    trusted=PROXIES,
)


def written(*routes: Route, rules: TrafficRules = NO_RULES, **more: Any) -> dict[str, Any]:
    http: dict[str, Any] = app_routes(
        app="7", service="mist-7-1", routes=routes, rules=rules, **more
    )["http"]
    return http


def test_without_rules_there_is_the_app_and_below_it_that_nothing_runs() -> None:
    http = written(Route("a.example"))
    app, away = http["routers"]["app-7"], http["routers"]["app-7-away"]
    assert http.keys() == {"routers"} and len(http["routers"]) == 2
    assert "middlewares" not in app and away["rule"] == app["rule"]
    assert away["priority"] == app["priority"] - 1
    assert (away["service"], away["middlewares"]) == ("mist-closed", ["mist-away"])


def test_rules_come_in_the_order_in_which_visitors_are_asked() -> None:
    http = written(Route("a.example"), rules=FULL, containers=2)
    names = [name.removeprefix("app-7-") for name in http["routers"]["app-7"]["middlewares"]]
    assert names == [
        *("wait", "page", "gate", "allow", "rate", "users", "headers", "compress", "retry"),
    ]


def test_only_what_asks_for_an_address_has_a_router_for_who_comes_by_a_proxy() -> None:
    some = TrafficRules(users=FULL.users, headers=FULL.headers, trusted=PROXIES)
    assert not any("behind" in name for name in written(Route("a.example"), rules=some)["routers"])
    routers = written(Route("a.example"), rules=FULL)["routers"]
    behind = routers["app-7-behind"]
    assert behind["priority"] > routers["app-7"]["priority"]
    assert "app-7-allow-behind" in behind["middlewares"]
    assert "app-7-users" in behind["middlewares"]
    assert "ClientIP(`127.0.0.0/8`) || ClientIP(`::1/128`)" in behind["rule"]
    alone = TrafficRules(allowed=FULL.allowed)
    assert written(Route("a.example"), rules=alone)["routers"].keys() == {"app-7", "app-7-away"}


def test_a_longer_path_beats_everything_that_rules_add_to_a_shorter_one() -> None:
    routes = [
        Route("a.example"),
        Route("a.example", path="/a", key="d1"),
        Route("*.example.com", key="d2"),
    ]
    routers = written(*routes, rules=FULL)["routers"]
    by_route: dict[str, list[int]] = {"": [], "-d1": [], "-d2": []}
    for name, router in routers.items():
        found = re.fullmatch(r"app-7(-d[12])?(-[a-z-]+)?", name)
        assert found is not None
        by_route[found[1] or ""].append(router["priority"])
    assert min(by_route["-d1"]) > max(by_route[""]) > min(by_route[""]) > max(by_route["-d2"])
    for priorities in by_route.values():
        assert len(priorities) == len(set(priorities))


def test_a_route_with_rules_of_its_own_has_none_of_the_apps() -> None:
    own = TrafficRules(compresses=True)
    routes = [
        Route("a.example"),
        Route("b.example", key="d1", rules=own),
        Route("*.c.example.com", key="d2"),
    ]
    routers = written(*routes, rules=TrafficRules(users=FULL.users))["routers"]
    assert routers["app-7"]["middlewares"] == routers["app-7-d2"]["middlewares"] == ["app-7-users"]
    assert routers["app-7-d1"]["middlewares"] == ["app-7-d1-compress"]


def test_rules_hold_by_https_too_and_come_after_the_way_there() -> None:
    https = Https(resolver="x", redirects=True, hsts_seconds=60, options="modern@file")
    http = written(Route("a.example", https=https), rules=FULL)
    routers = http["routers"]
    assert routers["app-7"]["middlewares"][:2] == ["app-7-https", "app-7-wait"]
    assert routers["app-7-tls"]["middlewares"][:2] == ["app-7-hsts", "app-7-wait"]
    # One of them asks for the certificate, all have the options.
    added = [r for name, r in routers.items() if name.startswith("app-7-tls-")]
    assert len(added) == 5 and all(r["tls"] == {"options": "modern@file"} for r in added)
    assert all(r["entryPoints"] == ["websecure"] for r in added)


def test_a_redirect_has_no_rules() -> None:
    www = Route("www.a.example", redirect_to="https://a.example", key="d1", rules=FULL)
    routers = written(Route("a.example"), www)["routers"]
    assert routers.keys() == {"app-7", "app-7-away", "app-7-d1"}


def test_while_an_app_is_away_maintenance_is_for_everybody() -> None:
    closed = closed_routes(app="7", routes=[Route("a.example")], rules=FULL)["http"]
    router = closed["routers"]["app-7"]
    assert router["service"] == "app-7-closed"
    assert router["middlewares"] == ["app-7-wait", "app-7-maintenance"]
    page = closed["middlewares"]["app-7-maintenance"]["errors"]
    assert page["query"] == "/visitor-pages/maintenance/3"
    plain = closed_routes(app="7", routes=[Route("a.example")])["http"]["routers"]["app-7"]
    assert plain["middlewares"] == ["app-7-closed", "mist-away-page"]


@given(st.integers(0, 10**14), st.integers(0, 10**15), st.integers(0, 3))
def test_a_length_is_compared_as_a_number(most: int, length: int, zeros: int) -> None:
    for one in (length, most, most + 1, max(0, most - 1)):
        matches = re.search(more_than(most), "0" * zeros + str(one)) is not None
        assert matches == (one > most)


nasty = st.one_of(
    st.text(max_size=30),
    st.from_regex(r'[`"{}$\\\n: ,()|&A-Za-z0-9./-]{0,40}', fullmatch=True),
    st.sampled_from(["a`) || Host(`b", "{{ fail }}", "alice:x", "::1", "10.0.0.0/8", "X-A"]),
)
visible = st.from_regex(r"[!-~](?:[ -~]*[!-~])?", fullmatch=True)
"""What a header may hold, braces, quotes and backslashes too."""
address = st.ip_addresses().map(str)
NETWORK = r"[0-9a-f.:]+/[0-9]+"
MATCH = (
    rf"(?:!?HeaderRegexp\(`(?:Content-Length|Content-Type|X-Forwarded-For)`, `[^`]+`\)"
    rf"|!Method\(`[A-Z]+`\)|\(ClientIP\(`{NETWORK}`\)(?: \|\| ClientIP\(`{NETWORK}`\))*\))"
)
RULE = re.compile(rf"\(*Host\(`a\.example`\)\)*(?: && {MATCH}\)*)*")


@settings(max_examples=300)
@given(
    users=st.lists(st.tuples(nasty, st.just(HASH) | nasty), max_size=1),
    allowed=st.lists(address, max_size=3) | st.lists(nasty, max_size=1),
    headers=st.lists(st.tuples(st.just("X-A"), visible) | st.tuples(nasty, nasty), max_size=1),
    trusted=st.lists(address, max_size=3) | st.lists(nasty, max_size=1),
    body=st.none() | st.integers(0, 10**12),
)
@example([("alice", HASH)], ["10.0.0.0/8"], [("X-A", 'a {{ fail "x" }} \\{{{')], ["::1"], 5)
def test_nothing_typed_becomes_configuration(
    users: list[tuple[str, str]],
    allowed: list[str],
    headers: list[tuple[str, str]],
    trusted: list[str],
    body: int | None,
) -> None:
    rules = TrafficRules(
        users=tuple(users),
        allowed=tuple(allowed),
        headers=tuple(headers),
        body_bytes=body,
        maintenance=Maintenance(1, tuple(allowed)),
        trusted=tuple(trusted),
    )
    try:
        file = app_routes(app="1", service="s", routes=[Route("a.example")], rules=rules)
    except ValueError:
        return
    http = file["http"]
    assert all(RULE.fullmatch(router["rule"]) for router in http["routers"].values())
    assert all(re.fullmatch(r"app-1(-[a-z]+)+", name) for name in http["middlewares"])
    for middleware in http["middlewares"].values():
        for line in middleware.get("basicAuth", {}).get("users", ()):
            assert re.fullmatch(r"[\w.@+-]+:\$2b\$06\$a{53}", line, re.ASCII)
        for network in middleware.get("ipAllowList", {}).get("sourceRange", ()):
            assert re.fullmatch(NETWORK, network)
    text, files = routes_text(file, start=Path("/p/1"))
    assert "{{" not in text and "$2b$" not in text
    # What Traefik reads is what was meant, but for the users, who have a file of their own.
    meant = copy.deepcopy(file)
    for middleware in meant["http"]["middlewares"].values():
        if "basicAuth" in middleware:
            middleware["basicAuth"].pop("users")
            [path] = files
            middleware["basicAuth"]["usersFile"] = str(path)
    assert json.loads(text) == meant


@given(st.text(max_size=60))
def test_what_a_check_lets_through_is_taken_by_what_puts_it_in(text: str) -> None:
    made: list[TrafficRules] = []
    with contextlib.suppress(InvalidSource):
        made.append(TrafficRules(allowed=tuple(check_networks(text))))
    with contextlib.suppress(InvalidSource):
        made.append(TrafficRules(headers=tuple(check_headers(text))))
    with contextlib.suppress(InvalidSource):
        made.append(TrafficRules(users=((check_user(text), HASH),)))
    for rules in made:
        assert written(Route("a.example"), rules=rules)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("203.0.113.9", ["203.0.113.9/32"]),
        ("203.0.113.9/24, 2001:DB8::1/32\n\n::1", ["203.0.113.0/24", "2001:db8::/32", "::1/128"]),
        ("10.0.0.1 10.0.0.1/32", ["10.0.0.1/32"]),
        ("", []),
    ],
)
def test_addresses_are_written_as_the_proxy_takes_them(text: str, found: list[str]) -> None:
    assert check_networks(text) == found


@pytest.mark.parametrize("text", ["10.0.0", "10.0.0.0/33", "shop.example.com", "fe80::1%eth0", "1"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(InvalidSource, match=re.escape(repr(text))):
        check_networks(f"10.0.0.1\n{text}")


@pytest.mark.parametrize(
    "text",
    ["X Y: z", "X-A", "Content-Length: 3", "transfer-encoding:", "X-A: ü", "X-A: 1\nx-a: 2", ": v"],
)
def test_a_header_that_cannot_be_sent_is_refused(text: str) -> None:
    with pytest.raises(InvalidSource):
        check_headers(text)


def test_a_hash_is_made_for_the_proxy_and_never_shown() -> None:
    made = hash_password("correct-horse")
    assert made.startswith("$2b$06$") and made != hash_password("correct-horse")
    assert made not in repr(TrafficRules(users=(("alice", made),)))
    for wrong in ("short", "x" * 73, "ü" * 40, "correct\nhorse"):
        with pytest.raises(InvalidSource):
            hash_password(wrong)
    with pytest.raises(ValueError, match="Not a hash") as caught:
        written(Route("a.example"), rules=TrafficRules(users=(("alice", "in the clear"),)))
    assert "clear" not in str(caught.value)


def test_passwords_lie_in_files_that_go_when_nobody_reads_them(tmp_path: Path) -> None:
    files = RouteFiles(tmp_path)

    def write(app: str, *names: str) -> None:
        rules = TrafficRules(users=tuple((name, HASH) for name in names))
        routes = app_routes(app=app, service="s", routes=[Route("a.example")], rules=rules)
        files.write(app, routes)

    def kept() -> list[str]:
        return sorted(path.read_text() for path in (tmp_path / "passwords").iterdir())

    write("1", "alice")
    write("12", "carol")
    [first] = (tmp_path / "passwords").glob("1-*")
    assert first.stat().st_mode & 0o777 == 0o600
    read: Any = files.read("1")
    auth = read["http"]["middlewares"]["app-1-users"]["basicAuth"]
    assert auth == {"realm": "Sign in", "removeHeader": True, "usersFile": str(first)}
    write("1", "alice", "bob")
    # Traefik may read the former one for a moment.
    assert len(kept()) == 3
    os.utime(first, (0, 0))
    write("1", "alice", "bob")
    files.remove("12")
    assert kept() == [f"alice:{HASH}\nbob:{HASH}\n"]
    assert files.apps() == ["1"]
    for path in (tmp_path / "passwords").iterdir():
        os.utime(path, (0, 0))
    write("1")
    assert kept() == []


def test_what_all_files_lean_on_leads_to_mists_own_pages() -> None:
    http = shared_rules("http://127.0.0.1:8080")["http"]
    assert http["services"]["mist-pages"]["loadBalancer"]["servers"] == [
        {"url": "http://127.0.0.1:8080"}
    ]
    nothing = http["middlewares"]["mist-nothing"]["errors"]
    assert nothing["statusRewrites"] == {"418": 404}
    assert all(router["priority"] == 1 for router in http["routers"].values())
