"""Which app a request reaches: once by what was asked for, once by what Traefik would do with the
files. Neither knows of the other, nor of Mist's own rules for priorities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<call>(?P<name>Host|HostRegexp|Path|PathPrefix)\(`(?P<text>[^`]*)`\))"
    r"|(?P<sign>\|\||&&|[()]))"
)


@dataclass(frozen=True)
class Answer:
    app: str
    port: int | None = None
    """None for the app's own."""
    path: str = ""
    """What the app is asked for."""
    to: str = ""
    """Where visitors are sent on to instead."""


@dataclass(frozen=True)
class Address:
    """What somebody asked for."""

    app: str
    host: str
    path: str = ""
    strips: bool = False
    port: int | None = None
    to: str = ""


def intended(addresses: Iterable[Address], host: str, path: str) -> Answer | None:
    """A name beats a wildcard, and of one name's paths the longest that covers the request."""
    wildcard = f"*.{host.partition('.')[2]}"
    for name in (host, wildcard):
        covering = [one for one in addresses if one.host == name and _covers(one.path, path)]
        if covering:
            best = max(covering, key=lambda one: len(one.path))
            asked = (path[len(best.path) :] or "/") if best.strips else path
            if best.to:
                return Answer(best.app, to=f"{best.to}{path}")
            return Answer(best.app, best.port, asked)
    return None


def _covers(part: str, path: str) -> bool:
    return not part or path == part or path.startswith(f"{part}/")


def carried_out(files: Mapping[str, Any], entry_point: str, host: str, path: str) -> list[Answer]:
    """What Traefik does: of the routers whose rule holds, the one with the highest priority. Where
    several share that, which one it is, is nobody's to say: all of them."""
    routers: dict[str, Any] = {}
    middlewares: dict[str, Any] = {}
    for file in files.values():
        http = file.get("http", {})
        assert not routers.keys() & http.get("routers", {}).keys(), "a router is in two files"
        assert not middlewares.keys() & http.get("middlewares", {}).keys()
        routers |= http.get("routers", {})
        middlewares |= http.get("middlewares", {})
    holding = [
        (router["priority"], name)
        for name, router in routers.items()
        if entry_point in router["entryPoints"] and holds(router["rule"], host, path)
    ]
    most = max((priority for priority, _ in holding), default=0)
    best = [name for priority, name in holding if priority == most]
    return [_answer(name, routers[name], middlewares, host, path) for name in best]


def _answer(name: str, router: Any, middlewares: Mapping[str, Any], host: str, path: str) -> Answer:
    app, port, asked = name.split("-")[1], None, path
    for middleware in (middlewares[one] for one in router.get("middlewares", [])):
        if "redirectRegex" in middleware:
            assert router["service"] == "noop@internal"
            rule = middleware["redirectRegex"]
            target = rule["replacement"].replace("${1}", r"\1")
            return Answer(app, to=re.sub(rule["regex"], target, f"http://{host}{path}"))
        if "stripPrefix" in middleware:
            [prefix] = middleware["stripPrefix"]["prefixes"]
            assert asked.startswith(prefix)
            asked = asked[len(prefix) :] or "/"
    found = re.fullmatch(r"mist-([0-9]+)(?:-p([0-9]+))?@docker", router["service"])
    assert found is not None and found[1] == app, router["service"]
    if found[2]:
        port = int(found[2])
    return Answer(app, port, asked)


def holds(rule: str, host: str, path: str) -> bool:
    """Whether Traefik's rule holds for the request. `&&` binds closer than `||`."""
    words, at = [], 0
    while at < len(rule):
        token = _TOKEN.match(rule, at)
        assert token is not None, f"no rule of Traefik's: {rule!r} at {at}"
        at = token.end()
        if token["sign"]:
            words.append({"||": "or", "&&": "and"}.get(token["sign"], token["sign"]))
        else:
            words.append(str(_matches(token["name"], token["text"], host, path)))
    return bool(eval(" ".join(words)))


def _matches(name: str, text: str, host: str, path: str) -> bool:
    if name == "Host":
        return host == text
    if name == "HostRegexp":
        return re.search(text, host) is not None
    return path == text if name == "Path" else path.startswith(text)
