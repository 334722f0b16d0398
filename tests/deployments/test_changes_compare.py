"""What has changed since the running deployment: compared as data, without any value."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest
from pytest_django import Settings

from apps.deployments.changes import Change, difference, record, same_source
from apps.projects.models import App, EnvironmentVariable

SECRET = "value-that-nobody-may-see"


def app(**settings: object) -> App:
    defaults: dict[str, object] = {
        "pk": 7,
        "repository": "https://git.example.com/shop/web.git",
        "port": 8000,
    }
    return App(**defaults | settings)


def variable(name: str, value: str = "x", scope: str = "r") -> EnvironmentVariable:
    return EnvironmentVariable(
        name=name, value=value, at_runtime="r" in scope, at_build="b" in scope
    )


def test_it_finds_nothing_where_nothing_changed() -> None:
    before = record(app(), [variable("A"), variable("B", scope="rb")])
    now = record(app(cpus=Decimal("1.00")), [variable("B", scope="rb"), variable("A")])
    assert difference(before, now) == []


def test_it_names_each_setting_with_its_old_and_new_value() -> None:
    before = record(app(root_directory="", cpus=Decimal("0.50")), [])
    now = record(
        app(
            repository="https://git.example.com/shop/site.git",
            branch="release",
            root_directory="services/web",
            dockerfile="Dockerfile.prod",
            port=None,
            health_path="/healthz",
            memory_mb=1024,
            cpus=Decimal(2),
        ),
        [],
    )
    assert [str(change) for change in difference(before, now)] == [
        "Repository, https://git.example.com/shop/web.git → https://git.example.com/shop/site.git",
        "Branch, main → release",
        "Root directory, top → services/web",
        "Dockerfile, Dockerfile → Dockerfile.prod",
        "Port, 8000 → automatic",
        "Health check path, / → /healthz",
        "Memory limit, 512 → 1024 MB",
        "CPU limit, 0.5 → 2 CPU",
    ]


def test_it_names_how_the_app_is_released_and_run() -> None:
    before = record(app(drain_seconds=5), [])
    now = record(
        app(
            health_check="up",
            release_command="./migrate",
            stop_signal="SIGQUIT",
            stop_seconds=90,
            restart_policy="no",
        ),
        [],
    )
    assert [str(change) for change in difference(before, now)] == [
        "Health check, HTTP → stays up",
        "Release command, none → ./migrate",
        "Drain time, 5 → Mist's own",
        "Stop signal, the image's own → SIGQUIT",
        "Grace time, Mist's own → 90 s",
        "Restart policy, always → never",
    ]


def test_a_record_from_before_a_setting_had_its_default() -> None:
    before = record(app(), [])
    for name in ("restart_policy", "health_attempts", "release_command"):
        del before["settings"][name]
    assert difference(before, record(app(), [])) == []
    changed = difference(before, record(app(restart_policy="no", health_attempts=5), []))
    assert [str(change) for change in changed] == [
        "Attempts, 3 → 5",
        "Restart policy, always → never",
    ]


def test_it_names_variables_and_what_happened_to_them() -> None:
    before = record(app(), [variable("API_KEY", "a"), variable("OLD"), variable("TOKEN")])
    now = record(
        app(), [variable("API_KEY", "b"), variable("GREETING"), variable("TOKEN", scope="rb")]
    )
    assert difference(before, now) == [
        Change("API_KEY", "changed", is_variable=True),
        Change("GREETING", "added", is_variable=True),
        Change("OLD", "removed", is_variable=True),
        Change("TOKEN", "moved from run time to run and build time", is_variable=True),
    ]
    assert str(difference(before, now)[1]) == "GREETING added"


def test_a_record_tells_no_value_and_no_two_equal_ones() -> None:
    made = record(app(), [variable("A", SECRET), variable("B", SECRET)])
    other = record(app(pk=8), [variable("A", SECRET)])
    assert SECRET not in json.dumps(made)
    prints = [made["variables"]["A"][0], made["variables"]["B"][0], other["variables"]["A"][0]]
    assert len(set(prints)) == 3


def test_fingerprints_take_the_secret_key(settings: Settings) -> None:
    settings.SECRET_KEY = "one"
    first = record(app(), [variable("A", SECRET)])
    settings.SECRET_KEY = "two"
    second = record(app(), [variable("A", SECRET)])
    assert first["variables"] != second["variables"]
    # What cannot be compared is not called changed; names and scopes still can be.
    assert difference(first, second) == []
    gone = record(app(), [variable("B", SECRET)])
    assert [str(change) for change in difference(first, gone)] == ["A removed", "B added"]


def test_a_record_survives_json() -> None:
    changed = dt.datetime(2026, 11, 4, 14, 32, 8, 123456, tzinfo=dt.UTC)
    made = record(app(environment_changed_at=changed), [variable("A")])
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("settings", "same"),
    [({}, True), ({"memory_mb": 64}, True), ({"branch": "x"}, False), ({"repository": "y"}, False)],
)
def test_it_knows_whether_the_code_comes_from_the_same_place(
    settings: dict[str, object], same: bool
) -> None:
    assert same_source(record(app(), []), app(**settings)) is same
