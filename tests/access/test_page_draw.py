"""Nothing is drawn that the person may not do: every link and form of every page, for each role."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from django.urls import Resolver404, resolve, reverse

from apps.deployments.models import Deployment, Status
from apps.projects.models import App
from apps.projects.services import project_create
from tests.access.table import ADMIN, ALLOWED, DEVELOPER, MANAGER, OWNER, STRANGER, TABLE, VIEWER
from tests.access.test_every_address import NAMES, World, addresses, world

__all__ = ["world"]
PEOPLE = (STRANGER, VIEWER, DEVELOPER, MANAGER, ADMIN, OWNER)
FOR_A_TOKEN = {"setup", "invitation", "invitation_join", "sample_repository"}


class Drawn(HTMLParser):
    """What a page offers: (method, address)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.offers: set[tuple[str, str]] = set()
        self._method = "get"
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.offers.add(("get", found.get("href", "")))
        elif tag == "form":
            self._method = found.get("method", "get").lower()
            if self._method != "dialog" and "data-palette-act" not in found:
                self.offers.add((self._method, found.get("action", "")))
        if "formaction" in found:
            self.offers.add(("post", found["formaction"]))
        for name in ("hx-get", "hx-post", "data-meter", "data-chunk", "data-search"):
            if found.get(name, "").startswith("/"):
                self.offers.add(("post" if name == "hx-post" else "get", found[name]))


def pages(world: World) -> Iterator[str]:
    for name in NAMES:
        if name in FOR_A_TOKEN:
            continue
        [pattern] = [p for p in addresses() if p.name == name]
        yield reverse(name, kwargs={key: world.values[key] for key in pattern.pattern.converters})
    yield from ("/projects/empty/", "/search/?q=web", "/palette/?q=web", "/search/?q=stop+web",
                "/palette/?here=/projects/shop/apps/web/", "/projects/shop/apps/web/deployments/2/",
                "/projects/shop/apps/api/")  # fmt: skip


def may(person: str, method: str, address: str) -> bool:
    try:
        match = resolve(urlsplit(address).path)
    except Resolver404:
        return True
    if "admin" in match.app_names:
        return person == OWNER
    if "api" in match.app_names:
        # A browser is led to the description alone: nothing else there takes a session.
        return match.url_name == "openapi"
    needs = TABLE[match.url_name or ""]
    need = needs if isinstance(needs, str) else needs[0 if method == "get" else 1]
    return person in ALLOWED[need]


@pytest.mark.parametrize("person", PEOPLE)
def test_a_page_offers_only_what_the_person_may_do(person: str, world: World) -> None:
    project_create(slug="empty", created_by=None)
    App.objects.create(project=world.app.project, slug="api", label="api-shop", repository="x")
    App.objects.filter(slug="web").update(observed="crashed")
    Deployment.objects.create(
        app=world.app,
        number=2,
        ref="main",
        status=Status.FAILED,
        failure="It failed.",
        failure_detail="the last lines",
    )
    client, seen, offered = world.clients[person], 0, set[str]()
    for page in pages(world):
        answer = client.get(page)
        if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
            continue
        seen += 1
        for method, address in Drawn(answer.content.decode()).offers:
            whole = urljoin(page, address)
            if urlsplit(whole).netloc:
                continue
            assert may(person, method, whole), f"{person}, {page}: {method} {whole}"
            offered.add(f"{method} {urlsplit(whole).path}")
    assert seen > 6
    # The walk sees what is there: who may deploy is offered it.
    deploys = "post /projects/shop/apps/web/deploy/" in offered
    assert deploys == (person in ALLOWED[DEVELOPER])
    assert ("get /new-project/" in offered) == (person in ALLOWED[ADMIN])
    assert ("post /projects/shop/members/" in offered) == (person in ALLOWED[MANAGER])
    assert ("post /projects/shop/apps/web/delete/" in offered) == (person in ALLOWED[MANAGER])


def test_a_viewer_reads_no_line_of_a_log(world: World) -> None:
    Deployment.objects.create(
        app=world.app,
        number=2,
        ref="main",
        status=Status.FAILED,
        failure="It failed.",
        failure_detail="TOKEN=abc",
    )
    path = "/projects/shop/apps/web/deployments/2/"
    assert "TOKEN=abc" not in world.clients[VIEWER].get(path).content.decode()
    assert "TOKEN=abc" in world.clients[DEVELOPER].get(path).content.decode()


def test_only_admins_see_numbers_of_the_host(world: World) -> None:
    for person in PEOPLE:
        page = world.clients[person].get("/").content.decode()
        assert ('id="host-metrics"' in page) == (person in ALLOWED[ADMIN]), person
