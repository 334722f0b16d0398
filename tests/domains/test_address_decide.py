"""For any addresses that people may give their apps, each request reaches the app that it should."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.domains.addresses import addresses_of
from apps.domains.models import Domain
from apps.domains.planning import closed_routes_file, routes_file
from apps.domains.selectors import overlapping
from apps.domains.services import domain_add, domain_change, domain_move
from apps.engine.dynamic_file import file_text
from apps.engine.errors import InvalidSource
from apps.engine.routes import Https, Route, app_routes, check_host_pattern
from apps.projects.https_models import origin
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from tests.domains.oracle import Address, Answer, carried_out, intended

# Few labels, so that names meet.
label = st.sampled_from(["a", "w-w"])
name = st.lists(label, min_size=1, max_size=2).map(lambda parts: ".".join([*parts, "example"]))
host = st.one_of(name, name.map(lambda one: f"*.{one}"))
path = st.lists(st.sampled_from(["ap", "aps", "v1.2"]), max_size=2).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
asked_path = st.one_of(
    path.map(lambda one: one or "/"), path.map(lambda one: f"{one}/x"), path.map(lambda p: f"{p}s")
).map(lambda one: one if one.startswith("/") else f"/{one}")
wish = st.fixed_dictionaries(
    {
        "app": st.integers(0, 2),
        "host": host,
        "path": path,
        "strips_path": st.booleans(),
        "port": st.sampled_from([None, None, 9000]),
        "is_primary": st.sampled_from([False, False, True]),
        "redirects": st.sampled_from([False, False, True]),
    }
)
requests = st.lists(st.tuples(name, asked_path), max_size=10)
own_world = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def apps_of_two_projects() -> list[App]:
    made = []
    for project, slug in (("shop", "web"), ("shop", "api"), ("rival", "web")):
        found = Project.objects.filter(slug=project).first()
        found = found or project_create(slug=project, created_by=None)
        made.append(
            app_create(project=found, slug=slug, repository="https://e.example/r", created_by=None)
        )
    return made


def written(apps: list[App]) -> dict[str, Any]:
    """The apps' files as Traefik gets them."""
    return {
        str(app.pk): json.loads(
            file_text(routes_file(its, service=f"mist-{app.pk}", port=8000, more_ports=[9000]))
        )
        for app, its in addresses_of(apps).items()
    }


def asked_for(apps: list[App]) -> list[Address]:
    """What the rows say, in the oracle's words."""
    found = [Address(str(app.pk), app.host) for app in apps]
    for one in Domain.objects.select_related("app"):
        lead = next((d.host for d in Domain.objects.filter(app=one.app, is_primary=True)), "")
        lead = lead or one.app.host
        to = origin(lead) if one.redirects and one.host != lead else ""
        found.append(Address(str(one.app_id), one.host, one.path, one.strips_path, one.port, to))
    return found


def near(addresses: list[Address]) -> list[tuple[str, str]]:
    """Requests that just meet each address, and that just miss it."""
    return [
        (where, what or "/")
        for one in addresses
        for where in {one.host.replace("*", "a"), one.host.replace("*", "a.a"), f"a.{one.host}"}
        for what in (one.path, f"{one.path}/", f"{one.path}/x", f"{one.path}s", "/")
        if "*" not in where and what != "s"
    ]


def check(apps: list[App], some: list[tuple[str, str]]) -> None:
    files, addresses = written(apps), asked_for(apps)
    for where, what in [*some, *near(addresses)]:
        wanted = intended(addresses, where, what)
        found = carried_out(files, "web", where, what)
        assert found == ([wanted] if wanted else []), f"{where}{what}"


@own_world
@given(st.lists(wish, max_size=10), requests)
def test_requests_reach_what_was_asked_for(
    db: None, wishes: list[dict[str, Any]], some: list[tuple[str, str]]
) -> None:
    with transaction.atomic():
        apps = apps_of_two_projects()
        for one in wishes:
            try:
                domain_add(created_by=None, **{**one, "app": apps[one["app"]]})
            except InvalidSource:
                pass  # somebody else's, or it does not fit
        check(apps, some)
        transaction.set_rollback(True)


@own_world
@given(st.lists(wish, min_size=2, max_size=6), st.lists(wish, max_size=6), requests)
def test_they_do_so_after_changes_and_moves(
    db: None,
    wishes: list[dict[str, Any]],
    changes: list[dict[str, Any]],
    some: list[tuple[str, str]],
) -> None:
    with transaction.atomic():
        apps = apps_of_two_projects()
        for one in wishes:
            try:
                domain_add(created_by=None, **{**one, "app": apps[one["app"]]})
            except InvalidSource:
                pass
        for number, one in enumerate(changes):
            rows = list(Domain.objects.order_by("pk"))
            if not rows:
                break
            chosen = rows[number % len(rows)]
            try:
                with transaction.atomic():
                    domain_change(
                        domain=chosen, **{k: one[k] for k in one if k not in ("app", "host")}
                    )
                    domain_move(domain=chosen, to=apps[one["app"]])
            except InvalidSource:
                pass
        Domain.objects.update(moved_from=None)  # carried out
        check(apps, some)
        transaction.set_rollback(True)


@own_world
@given(st.lists(wish, max_size=10))
def test_no_stranger_gets_visitors_of_a_name_that_another_project_holds(
    db: None, wishes: list[dict[str, Any]]
) -> None:
    with transaction.atomic():
        apps = apps_of_two_projects()
        for one in wishes:
            try:
                domain_add(created_by=None, **{**one, "app": apps[one["app"]]})
            except InvalidSource:
                pass
        rows = list(Domain.objects.select_related("app"))
        for where, _ in near(asked_for(apps)):
            names = (where, f"*.{where.partition('.')[2]}")
            assert len({one.app.project_id for one in rows if one.host in names}) <= 1, where
        transaction.set_rollback(True)


@own_world
@given(st.sets(host, max_size=12), host)
def test_names_overlap_where_one_visitor_may_mean_both(
    db: None, hosts: set[str], other: str
) -> None:
    def visitors(pattern: str) -> set[str]:
        """Enough of the names that it stands for to tell."""
        if not pattern.startswith("*."):
            return {pattern}
        return {f"{one}.{pattern[2:]}" for one in ("a", "b", "w-w", "new")}

    with transaction.atomic():
        app = apps_of_two_projects()[0]
        Domain.objects.bulk_create(Domain(app=app, host=one) for one in hosts)
        found = {one.host for one in overlapping(other)}
        assert found == {one for one in hosts if visitors(one) & visitors(other)}
        transaction.set_rollback(True)


@own_world
@given(st.lists(wish, max_size=8), requests)
def test_an_app_that_makes_way_holds_all_of_its_addresses(
    db: None, wishes: list[dict[str, Any]], some: list[tuple[str, str]]
) -> None:
    with transaction.atomic():
        [app, *_] = apps_of_two_projects()
        for one in wishes:
            try:
                domain_add(created_by=None, **{**one, "app": app})
            except InvalidSource:
                pass
        its = addresses_of([app])[app]
        open_file = routes_file(its, service="mist-1", port=8000, more_ports=[9000])["http"]
        closed = closed_routes_file(its)["http"]
        # Of one that is away, all that is left is this very answer.
        names = {name for name in open_file["routers"] if not name.endswith("-away")}
        assert names == {name for name in closed["routers"] if not name.endswith("-away")}
        for name in names:
            before, after = open_file["routers"][name], closed["routers"][name]
            assert (before["rule"], before["priority"]) == (after["rule"], after["priority"])
            if after["service"] != "noop@internal":
                assert not closed["services"][after["service"]]["loadBalancer"]["servers"]
                assert after["middlewares"][0] == after["service"]
        transaction.set_rollback(True)


https = st.one_of(
    st.none(), st.builds(Https, resolver=st.sampled_from(["", "x"]), redirects=st.booleans())
)


@given(
    st.lists(st.tuples(host, path, https), min_size=1, max_size=8, unique_by=lambda r: r[:2]),
    requests,
)
def test_by_https_a_request_reaches_the_same_app_where_its_name_has_it(
    rows: list[tuple[str, str, Https | None]], some: list[tuple[str, str]]
) -> None:
    routes = [Route("own.example")]
    routes += [
        Route(where, what, key="" if not (what or "*" in where) else f"d{n}", https=how)
        for n, (where, what, how) in enumerate(rows)
    ]
    files = {"7": app_routes(app="7", service="mist-7", routes=routes)}
    secure = [Address("7", one.host, one.path) for one in routes if one.https]
    for where, what in [*some, *near(secure)]:
        wanted = intended(secure, where, what)
        found = carried_out(files, "websecure", where, what)
        # Of one app: that it is reached is what can be told.
        assert {one.app for one in found} == ({wanted.app} if wanted else set()), f"{where}{what}"
        plain = carried_out(files, "web", where, what)
        assert plain or not found


@given(st.text(max_size=40))
def test_a_host_name_is_refused_or_harmless_and_always_the_same(text: str) -> None:
    try:
        found = check_host_pattern(text)
    except InvalidSource:
        return
    assert found.isascii() and found == found.lower() and len(found) <= 255
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-*")
    assert found.count("*") == found.startswith("*.")
    assert all(0 < len(part) <= 63 for part in found.split("."))
    assert check_host_pattern(found) == found


labels = st.text("abcxyz019-", min_size=1, max_size=12).filter(
    lambda one: one[0] != "-" and one[-1] != "-" and one[2:4] != "--"
)


@given(st.lists(labels, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_a_legal_host_name_is_taken_however_it_is_written(
    parts: list[str], capitals: bool, dotted: bool
) -> None:
    plain = ".".join([*parts, "example"])
    text = (plain.upper() if capitals else plain) + "." * dotted
    assert check_host_pattern(text) == plain
    assert check_host_pattern(f"*.{text}") == f"*.{plain}"


def test_the_oracle_knows_what_traefik_does() -> None:
    rule = "Host(`a.example`) && (Path(`/x`) || PathPrefix(`/x/`))"
    files = {
        "1": {"http": {"routers": {
            "app-1-d1": {"entryPoints": ["web"], "rule": rule, "priority": 2, "service": "mist-1@docker"},
            "app-1": {"entryPoints": ["web"], "rule": "Host(`a.example`)", "priority": 1,
                      "service": "mist-1-p9@docker"}}}},
    }  # fmt: skip
    assert carried_out(files, "web", "a.example", "/x/y") == [Answer("1", None, "/x/y")]
    assert carried_out(files, "web", "a.example", "/xy") == [Answer("1", 9, "/xy")]
    assert carried_out(files, "web", "b.example", "/") == []
