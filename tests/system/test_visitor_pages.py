"""What visitors of apps get from Mist's web server in the proxy's name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from apps.domains.models import TrafficRules
from apps.domains.rule_services import rules_change
from apps.projects.models import App
from mist_project.asgi import application
from mist_project.visitor_pages import MOST_KEPT, VisitorPages

pytestmark = pytest.mark.django_db(transaction=True)


async def get(path: str, *, pages: Any = application) -> tuple[int, dict[str, str], str]:
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"127.0.0.1:8080"), (b"cookie", b"sessionid=of-an-app")],
        "query_string": b"",
    }
    communicator: Any = ApplicationCommunicator
    asked = communicator(pages, scope)
    await asked.send_input({"type": "http.request", "body": b""})
    start = await asked.receive_output(5)
    body = await asked.receive_output(5)
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"].decode()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("nothing", 404, "Nothing is here"),
        ("away", 503, "Not available right now"),
        ("too-large", 413, "This is too large"),
        ("maintenance/1", 503, "Down for maintenance"),
        ("maintenance/x", 503, "Down for maintenance"),
        ("maintenance/" + "9" * 40, 503, "Down for maintenance"),
        ("../../etc/passwd", 404, "Nothing is here"),
    ],
)
async def test_a_page_has_its_status_and_needs_no_other_file(
    path: str, status: int, words: str
) -> None:
    found, headers, body = await get(f"/visitor-pages/{path}")
    assert found == status and words in body
    assert "set-cookie" not in headers and headers["cache-control"] == "no-store, private"
    assert int(headers["content-length"]) == len(body.encode())
    assert not re.search(r"<(?:script|link|img|form)|url\(|https?://", body)


async def test_a_page_of_an_app_is_shown_while_it_is_wanted_and_runs_nothing(web: App) -> None:
    page = "<script>alert(1)</script><h1>Back at noon</h1>"
    change = sync_to_async(rules_change)
    rules = await change(app=web, domain=None, maintenance=True, maintenance_page=page)
    fresh = VisitorPages(lambda work: sync_to_async(work)())
    status, headers, body = await get(f"/visitor-pages/maintenance/{rules.pk}", pages=fresh)
    assert (status, body) == (503, page)
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups") and "allow-scripts" not in policy
    assert "default-src 'none'" in policy and "script-src" not in policy
    # Nobody who knows its number sees what is not shown to visitors.
    await change(app=web, domain=None, maintenance=False)
    again = VisitorPages(lambda work: sync_to_async(work)())
    _, _, body = await get(f"/visitor-pages/maintenance/{rules.pk}", pages=again)
    assert "Back at noon" not in body


async def test_a_busy_page_is_read_once_in_a_while(web: App) -> None:
    asked = []

    async def run(work: object) -> str | None:
        asked.append(work)
        return "<p>Soon</p>"

    pages = VisitorPages(run)
    for _ in range(50):
        assert (await get("/visitor-pages/maintenance/7", pages=pages))[2] == "<p>Soon</p>"
    assert len(asked) == 1
    for number in range(3 * MOST_KEPT):
        await get(f"/visitor-pages/maintenance/{number}", pages=pages)
    assert len(pages._kept) <= MOST_KEPT
    assert not await TrafficRules.objects.aexists()
