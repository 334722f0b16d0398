"""What the doctor says of Traefik, case by case."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from apps.engine.data import Container, ContainerSpec, EngineConfig
from apps.engine.errors import EngineUnavailable, ProxyUnavailable
from apps.engine.fake import FakeEngine, make_engine
from apps.engine.host import Check
from apps.engine.labels import probe_labels
from apps.engine.proxy_checks import check_version, numbers, proxy_checks
from apps.engine.proxy_state import in_words, read_files
from apps.engine.routes import Route, app_routes


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    """One app that runs and is led to."""
    made = make_engine(EngineConfig(instance="0123abcd", data_dir=tmp_path))
    made.proxy.ensure_running()
    start(made)
    made.proxy.write_routes("7", routes())
    return made


def start(engine: FakeEngine) -> Container:
    engine.containers.images["mist/web:1"] = (8000,)
    engine.containers.networks["mist-shop"] = {}
    labels = probe_labels(
        container_name="mist-shop-web-1",
        service="mist-7-1",
        port=8000,
        network="mist-shop",
        instance="0123abcd",
    ) | {"mist.app": "7", "mist.name": "shop/web"}
    return engine.containers.start(
        ContainerSpec(
            name="mist-shop-web-1", image="mist/web:1", network="mist-shop", env={}, labels=labels
        )
    )


def routes() -> dict[str, Any]:
    return app_routes(app="7", service="mist-7-1", routes=[Route("a.example.com")])


def checks(engine: FakeEngine) -> dict[str, Check]:
    return {check.name: check for check in proxy_checks(engine)}


def bad(engine: FakeEngine) -> Check:
    [found] = [check for check in checks(engine).values() if not check.ok]
    assert found.hint.endswith(".") and found.says
    return found


def state_with(engine: FakeEngine, **changes: Any) -> None:
    engine.proxy.state_now = dataclasses.replace(engine.proxy.right_state(), **changes)


def router_with(engine: FakeEngine, **changes: Any) -> None:
    """What Traefik says of the app's router."""
    routers = dict(engine.proxy.right_state().routers)
    routers["app-7@file"] = {**routers["app-7@file"], **changes}
    state_with(engine, routers=routers)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.engine.proxy_checks.AGAIN_SECONDS", 0.0)


def test_where_all_is_well_each_check_says_so(engine: FakeEngine) -> None:
    assert {name: (check.ok, check.says) for name, check in checks(engine).items()} == {
        "Traefik's version": (True, "3.7.15"),
        "Traefik and the engine": (
            True,
            "Docker 28.0.0 speaks API 1.24 to 1.48, Traefik 3.7.15 1.40 and newer",
        ),
        "Traefik's configuration": (True, "as this Mist writes it"),
        "Traefik's routes": (True, "2 in 1 files, all taken up"),
        "Traefik's entry points": (True, "HTTP (port 80): all answer"),
        "Traefik and apps": (True, "apps of 1 project are reached"),
    }


@pytest.mark.parametrize(
    ("version", "ok", "needed", "says"),
    [
        ("3.7.12", True, True, "3.7.12"),
        ("3.7.11", False, False, "3.7.11 is older than Mist is made for"),
        ("v3.7.15", True, True, "v3.7.15"),
        ("3.9.1", True, True, "3.9.1"),
        ("3.6.0", False, True, "3.6.0 is too old: it fails with Docker 29"),
        ("2.11.0", False, True, "2.11.0 is too old"),
        ("3.6.2", False, False, "3.6.2 is older than Mist is made for"),
        ("4.0.0-rc1", False, False, "4.0.0-rc1 is newer than Mist knows"),
        ("", False, False, "not known"),
        ("dev", False, False, "not known (dev)"),
    ],
)
def test_a_version_is_known_to_be_good_or_not(
    version: str, ok: bool, needed: bool, says: str
) -> None:
    for in_container in (False, True):
        check = check_version(version, in_container=in_container)
        assert (check.ok, check.needed) == (ok, needed) and check.says.startswith(says)
        assert ok or ("MIST_TRAEFIK_IMAGE" in check.hint) == in_container


def test_numbers_of_versions_are_compared_as_numbers() -> None:
    assert numbers("3.10.2") > numbers("v3.7.15-rc1") == (3, 7, 15)


@pytest.mark.parametrize(
    ("traefik", "oldest", "says"),
    [
        ("3.6.0", "1.44", "Docker 28.0.0 speaks API 1.44 to 1.53, Traefik 3.6.0 1.24"),
        ("3.6.2", "1.52", "Traefik 3.6.2 1.24 to 1.51"),
    ],
)
def test_an_engine_that_is_too_new_for_traefik_is_named(
    engine: FakeEngine, traefik: str, oldest: str, says: str
) -> None:
    engine.containers.speaks = (oldest, "1.53")
    state_with(engine, version=traefik)
    check = checks(engine)["Traefik and the engine"]
    assert not check.ok and check.needed and says in check.says
    assert "newer Traefik" in check.hint


def test_an_old_traefik_and_an_engine_that_understands_it_go_together(engine: FakeEngine) -> None:
    engine.containers.speaks = ("", "1.48")
    state_with(engine, version="3.6.0")
    assert checks(engine)["Traefik and the engine"].ok


def test_an_engine_that_is_too_old_for_traefik_is_named(
    engine: FakeEngine,
) -> None:
    engine.containers.speaks = ("1.12", "1.39")
    check = checks(engine)["Traefik and the engine"]
    assert not check.ok and "1.40 and newer" in check.says and "newer Docker" in check.hint


def test_an_engine_that_is_away_is_no_fault_of_traefiks(engine: FakeEngine) -> None:
    for step in ("info", "list"):
        engine.containers.fail(step, EngineUnavailable("No engine.", hint="Start it."))
    found = checks(engine)
    assert not found["Traefik and the engine"].needed
    assert found["Traefik's routes"].ok
    assert found["Traefik and apps"].says == "no app runs that could be reached"


def test_an_api_that_does_not_answer_is_all_there_is_to_say(engine: FakeEngine) -> None:
    engine.proxy.fail("state", ProxyUnavailable("Traefik does not answer."))
    [check] = proxy_checks(engine)
    assert (check.name, check.ok, check.says) == (
        "Traefik's API",
        False,
        "Traefik does not answer.",
    )
    assert "./mist down --proxy" in check.hint


def test_another_configuration_than_mists_is_told(engine: FakeEngine) -> None:
    state_with(engine, is_current=False)
    assert bad(engine).says == "not what the settings of this Mist ask for"


def test_in_a_container_it_is_compose_that_is_asked(tmp_path: Path) -> None:
    engine = make_engine(EngineConfig(instance="x", data_dir=tmp_path, proxy_host="mist-proxy"))
    state_with(engine, is_current=False)
    assert bad(engine).hint == "Run docker compose up --detach."


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rule": "Host(`old.example.com`)"}, "shop/web has a route that Traefik knows as it was"),
        ({"service": "mist-7-0@docker"}, "shop/web has a route that Traefik knows as it was"),
        (
            {"error": ['middleware "x@file" does not exist']},
            "shop/web has a route that leads nowhere, a part of it is missing: x",
        ),
    ],
)
def test_a_route_that_traefik_has_otherwise_is_named_by_its_app(
    engine: FakeEngine, changes: dict[str, Any], says: str
) -> None:
    router_with(engine, **changes)
    check = bad(engine)
    assert check.needed and check.says.startswith(says)


def test_a_route_that_is_not_taken_up_is_told_unless_it_is_a_moment_later(
    engine: FakeEngine,
) -> None:
    right = engine.proxy.right_state()
    engine.proxy.state_now = dataclasses.replace(
        right, routers={"mist-7-1-probe@docker": {"entryPoints": ["probe"]}}
    )
    assert bad(engine).says.startswith(
        "shop/web has a route that Traefik has not taken up: app-7; "
    )

    def take_up() -> None:
        engine.proxy.state_now = right

    late = engine.proxy.state_now
    engine.proxy.fail("state", lambda: setattr(engine.proxy, "state_now", late))
    engine.proxy.fail("state", take_up)
    assert all(check.ok for check in proxy_checks(engine))


def test_a_route_that_no_file_has_is_told(engine: FakeEngine) -> None:
    routers = {**engine.proxy.right_state().routers, "app-9@file": {"rule": "Host(`b`)"}}
    state_with(engine, routers=routers)
    assert bad(engine).says == "app 9 has a route in Traefik that no file has: app-9"


def test_labels_that_lead_visitors_by_a_rule_of_their_own_are_told(engine: FakeEngine) -> None:
    routers = {**engine.proxy.right_state().routers, "open@docker": {"entryPoints": ["web"]}}
    state_with(engine, routers=routers)
    assert bad(engine).says == "a container's labels lead visitors by a rule of their own: open"


def test_a_file_that_cannot_be_read_is_told_by_its_app(engine: FakeEngine) -> None:
    state_with(engine, files={**engine.proxy.right_state().files, "app-8": None, "tls": None})
    assert bad(engine).says == "app 8 has a file that cannot be read"


def test_a_container_that_traefik_does_not_see_is_told(engine: FakeEngine) -> None:
    written = routes()["http"]["routers"]
    state_with(engine, routers={f"{name}@file": router for name, router in written.items()})
    assert bad(engine).says == "shop/web runs in mist-shop-web-1, which Traefik does not see"


def test_a_route_whose_container_does_not_run_is_advice(engine: FakeEngine) -> None:
    router_with(engine, error=['the service "mist-7-1@docker" does not exist'])
    check = bad(engine)
    assert (check.name, check.needed) == ("Routes to nowhere", False)
    assert check.says == "shop/web has a route that leads nowhere, its container does not run"


def test_of_a_great_many_problems_some_are_listed(engine: FakeEngine) -> None:
    gone = {f"app-{n}": None for n in range(100, 112)}
    state_with(engine, files={**engine.proxy.right_state().files, **gone})
    assert bad(engine).says.endswith("; and 7 more")


def test_an_entry_point_that_does_not_answer_is_named_with_the_reason(engine: FakeEngine) -> None:
    engine.proxy.silent = {"HTTPS (port 443)": "nothing listens there"}
    assert bad(engine).says == "HTTPS (port 443): nothing listens there"


def test_a_network_that_is_not_reached_is_named_and_one_that_refuses_is_reached(
    engine: FakeEngine,
) -> None:
    engine.proxy.refusals = ["nothing listens on the port yet (connection refused)"]
    assert checks(engine)["Traefik and apps"].ok
    engine.proxy.refusals = ["no connection within 2 s"]
    check = bad(engine)
    assert check.needed and check.says.startswith("not reached: shop/web at 10.192.0.")
    assert "firewall" in check.hint


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ('the service "mist-1-1@docker" does not exist', "its container does not run"),
        ('middleware "app-7-strip@file" does not exist', "a part of it is missing: app-7-strip"),
        (
            "error while parsing rule Host(`a.b: parsing rule Host(`a.b: 1:6: raw string",
            "its host names or paths make no rule",
        ),
        ('entryPoint "x" doesn\'t exist', "Traefik runs without the entry point x"),
        (
            "building router handler: unknown TLS options: modern@file",
            "its TLS options are missing: modern@file",
        ),
        ("something new", "something new"),
    ],
)
def test_errors_of_traefik_are_put_into_words(error: str, words: str) -> None:
    assert in_words(error) == words


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "app-1.yml").write_text(json.dumps({"http": {}}))
    (tmp_path / "app-2.yml").write_text("{")
    (tmp_path / "app-3.yml").write_text("[]")
    (tmp_path / "notes.txt").write_text("x")
    assert read_files(tmp_path) == {"app-1": {"http": {}}, "app-2": None, "app-3": None}
