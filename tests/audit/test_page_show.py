"""The audit pages: what the filters leave, page by page, and nothing of other projects."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.audit import selectors
from apps.audit.models import ActorKind, AuditEvent
from apps.audit.selectors import Cursor, Filters, events_page
from apps.deployments.services import app_delete, deployment_request
from apps.domains.services import domain_add
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project
from apps.projects.services import host_port_add, variables_save, volume_add
from tests.audit.conftest import event, shown


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and windows that a test can fill."""
    monkeypatch.setattr(selectors, "WINDOW", 10)


def names(page: selectors.Page) -> list[str]:
    return [event.thing_name for event in page.events]


# -------------------------------------------------------------------------------- filters, paging


def test_each_filter_leaves_what_it_says(db: None, now: dt.datetime) -> None:
    hour = dt.timedelta(hours=1)
    one = event(
        at=now - 3 * hour, actor_id=7, actor_name="Bob", action="app.stop", thing_type="app",
        thing_id=3, thing_name="shop/web", project_id=2, project_name="shop",
    )  # fmt: skip
    two = event(at=now - 2 * hour, actor_kind=ActorKind.TOKEN, actor_id=8, thing_name="docs/site")
    three = event(at=now - hour, actor_kind=ActorKind.SYSTEM, actor_id=None, actor_name="Mist")
    wanted = [
        (Filters(), [three, two, one]),
        (Filters(actor_id=7), [one]),
        (Filters(actor_id=8), [two]),
        (Filters(actor_kind="system"), [three]),
        (Filters(action="app.stop"), [one]),
        (Filters(thing_type="app", thing_id=3), [one]),
        (Filters(thing_type="app", thing_id=4), []),
        (Filters(project_id=2), [one]),
        (Filters(words=("SHOP",)), [one]),
        (Filters(words=("bob", "web")), [one]),
        (Filters(words=("bob", "site")), []),
        (Filters(since=two.at), [three, two]),
        (Filters(until=two.at), [one]),
        (Filters(since=two.at, until=three.at), [two]),
        (Filters(project_id=2, actor_id=7, action="app.stop", words=("web",)), [one]),
        (Filters(project_id=2, actor_id=8), []),
        (Filters(actor_kind="system", project_id=2), []),
    ]
    for filters, events in wanted:
        assert events_page(filters).events == events, filters


def test_words_are_text_and_no_pattern(db: None) -> None:
    event(thing_name="100%_done")
    event(thing_name="1000 done")
    assert names(events_page(Filters(words=("0%_",)))) == ["100%_done"]


@pytest.mark.parametrize(
    "filters",
    [Filters(), Filters(project_id=1), Filters(project_id=1, actor_id=1), Filters(words=("x",))],
)
def test_pages_hold_every_event_once_also_of_one_moment(
    db: None, now: dt.datetime, few: None, filters: Filters
) -> None:
    for number in range(35):
        event(at=now - dt.timedelta(seconds=number // 4), thing_name=f"x{number}", project_id=1)
    seen: list[str] = []
    place: Cursor | None = None
    for _ in range(99):
        page = events_page(filters, place, size=3)
        seen += names(page)
        if page.older is None:
            break
        place = Cursor.parse(str(page.older))
        assert place == page.older
    assert sorted(seen) == sorted(f"x{number}" for number in range(35))
    assert [int(name[1:]) // 4 for name in seen] == sorted(int(name[1:]) // 4 for name in seen)


def test_a_rare_find_ends_a_page_early_and_says_where_to_look_on(
    db: None, now: dt.datetime, few: None
) -> None:
    for number in range(25):
        name = "needle" if number == 21 else "hay"
        event(at=now - dt.timedelta(seconds=number), thing_name=name)
    first = events_page(Filters(words=("needle",)))
    assert (names(first), first.cut_short) == ([], True)
    second = events_page(Filters(words=("needle",)), first.older)
    assert (names(second), second.cut_short) == ([], True)
    third = events_page(Filters(words=("needle",)), second.older)
    assert (names(third), third.cut_short, third.older) == (["needle"], False, None)


@pytest.mark.parametrize(
    "text", ["", "x", "1.2", "99999999999999999999.1", "20260101000000000000."]
)
def test_a_cursor_that_is_none_begins_anew(db: None, owner: Client, text: str) -> None:
    assert Cursor.parse(text) is None
    assert len(shown(owner, "/audit/", before=text)) == 0


def test_no_page_counts_skips_or_sorts(db: None) -> None:
    """What each filter makes SQLite do: read one index in the page's own order."""
    if connection.vendor != "sqlite":
        pytest.skip("EXPLAIN QUERY PLAN is SQLite's")
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    place = Cursor(at, 5)
    event(at=at - dt.timedelta(days=9), project_id=1)
    for filters, index in {
        Filters(): "audit_by_time",
        Filters(since=at - dt.timedelta(days=30), until=at): "audit_by_time",
        Filters(project_id=1): "audit_by_project",
        Filters(actor_id=1): "audit_by_actor",
        Filters(actor_kind="system"): "audit_by_kind",
        Filters(action="app.stop"): "audit_by_action",
        Filters(thing_type="app", thing_id=1): "audit_by_thing",
        Filters(project_id=1, actor_id=1): "audit_by_actor",
        Filters(project_id=1, action="app.stop", words=("x",)): "audit_by_action",
        Filters(project_id=1, since=at - dt.timedelta(days=30)): "audit_by_project",
        Filters(words=("x",)): "audit_by_time",
    }.items():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            events_page(filters, place)
        for query in queries.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plan = " / ".join(str(row[3]) for row in cursor.fetchall())
            assert f"INDEX {index} (" in plan, (filters, plan)
            assert "TEMP B-TREE" not in plan, (filters, plan)
            assert "COUNT(" not in query["sql"]
            assert "OFFSET" not in query["sql"]


# ----------------------------------------------------------------------------------- what is seen


def test_the_page_says_who_did_what(owner: Client, web: App) -> None:
    assert shown(owner, "/audit/") == [
        "Mist created the app shop/web",
        "Mist created the project shop",
    ]
    page = owner.get("/audit/").content.decode()
    assert f'href="{reverse("app", args=["shop", "web"])}"' in page
    assert "https://git.example.com/shop/web.git" in page


def test_a_row_tells_before_and_after_address_agent_and_request(owner: Client) -> None:
    event(
        before={"memory_mb": 512}, after={"memory_mb": 1024}, address="2001:db8::7",
        agent="<b>Lynx</b>", request_id="0f8c", via="./mist deploy",
    )  # fmt: skip
    page = owner.get("/audit/").content.decode()
    for text in (
        "memory mb",
        "512",
        "1024",
        "2001:db8::7",
        "&lt;b&gt;Lynx",
        "0f8c",
        "./mist deploy",
    ):
        assert text in page, text


def test_each_thing_that_is_still_there_links_to_its_page(
    owner: Client, web: App, alice: User, fake: FakeEngine
) -> None:
    variables_save(app=web, values={"KEY": "x"}, changed_by=alice)
    volume_add(app=web, name="data", path="/data", created_by=alice)
    host_port_add(
        app=web, port=5432, protocol="tcp", container_port=5432, reach="local", created_by=alice
    )
    domain_add(app=web, host="shop.example.com", created_by=alice)
    deployment_request(app=web, requested_by=alice)
    pages = selectors.pages_of_things(AuditEvent.objects.all())
    assert {kind: path.removeprefix("/projects/shop/") for (kind, _), path in pages.items()} == {
        "project": "",
        "app": "apps/web/",
        "environmentvariable": "apps/web/environment/",
        "volume": "apps/web/settings/",
        "hostport": "apps/web/settings/",
        "domain": "apps/web/domains/",
        "deployment": "apps/web/deployments/1/",
    }
    app_delete(app=web)
    assert set(selectors.pages_of_things(AuditEvent.objects.all())) == {("project", web.project_id)}


def test_what_is_gone_has_no_link_and_stays_readable(owner: Client, web: App) -> None:
    link = f'href="{reverse("app", args=["shop", "web"])}"'
    assert link in owner.get("/audit/").content.decode()
    Project.objects.all().delete()
    page = owner.get("/audit/")
    assert link not in page.content.decode()
    assert "Mist created the app shop/web" in shown(owner, "/audit/")


def test_the_filters_of_the_page_work(owner: Client, shop: Project, alice: User) -> None:
    event(actor_id=99, actor_name="Gone Gary", action="app.stop", thing_name="shop/old",
          thing_type="app", thing_id=4, project_id=77, project_name="past")  # fmt: skip
    stopped = ["Gone Gary stopped shop/old"]
    assert shown(owner, "/audit/", actor="99") == stopped
    assert shown(owner, "/audit/", actor="system") == ["Mist created the project shop"]
    assert shown(owner, "/audit/", action="app.stop") == stopped
    assert shown(owner, "/audit/", project="77") == stopped
    assert shown(owner, "/audit/", project=str(shop.pk)) == ["Mist created the project shop"]
    assert shown(owner, "/audit/", thing="app:4") == stopped
    assert shown(owner, "/audit/", q="gary") == stopped
    assert shown(owner, "/audit/", until="2001-01-01T00:00") == []
    assert len(shown(owner, "/audit/", since="2001-01-01T00:00")) == 2
    assert ">Gone Gary</option>" in owner.get("/audit/?actor=99").content.decode()
    assert ">past</option>" in owner.get("/audit/?project=77").content.decode()


@pytest.mark.parametrize(
    "query", ["actor=x", "project=x", "thing=app", "thing=%00", "since=yesterday", "until=x"]
)
def test_a_filter_that_cannot_be_read_is_said_and_shows_nothing(
    owner: Client, web: App, query: str
) -> None:
    answer = owner.get(f"/audit/?{query}")
    assert answer.status_code == 200
    assert "The filters cannot be read" in answer.content.decode()
    assert 'role="alert"' in answer.content.decode()


def test_the_next_page_goes_on_with_the_same_filters(owner: Client, now: dt.datetime) -> None:
    for number in range(selectors.PAGE + 3):
        event(thing_name=f"n{number}", at=now - dt.timedelta(seconds=number), action="app.stop")
    first = owner.get("/audit/?action=app.stop").content.decode()
    [more] = re.findall(r'rel="next" href="([^"]+)"', first)
    rest = shown(owner, "/audit/" + more.replace("&amp;", "&"))
    assert [row.split()[-1] for row in rest] == ["n50", "n51", "n52"]


def test_queries_do_not_grow_with_the_events(owner: Client, web: App) -> None:
    owner.get("/audit/")
    with CaptureQueriesContext(connection) as few:
        owner.get("/audit/")
    for number in range(30):
        event(thing_type="app", thing_id=web.pk, thing_name=f"x{number}")
    with CaptureQueriesContext(connection) as many:
        owner.get("/audit/")
    assert len(many) == len(few) <= 9
