"""What comes from outside (logs, commits, names) is text on every page, never markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.deployments.ansi import segments
from apps.deployments.logs import log_path
from apps.deployments.models import Deployment, Status
from apps.deployments.templatetags.logs import ansi
from apps.projects.models import App
from apps.system.templatetags.mist import marked

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg onload=alert(1)>{{7*7}}"


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


log_line = st.text(max_size=60) | st.from_regex(
    r"(\x1b\[[0-9;]{0,8}m|\x1b\][^\x07]{0,6}\x07|<[a-z/]{1,6}>|&[a-z]{1,4};|[a-z\"'\r ]){0,12}",
    fullmatch=True,
)


@given(log_line)
@example("\x1b[31m<script>alert(1)</script>\x1b[0m")
@example('\x1b[31;"><script>m')
@example("\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07")
@example("\x1b[31m&lt;\x1b[")
def test_html_or_ansi_in_a_log_line_is_only_text(line: str) -> None:
    seen = Seen(str(ansi(line)))
    for tag, attributes in seen.tags:
        assert tag == "span" and set(attributes) == {"class"}
        assert all(name.startswith("a-") for name in (attributes["class"] or "").split())
    plain = "".join(text for _, text in segments(line))
    assert seen.text.replace("\r", "\n") == plain.replace("\r\n", "\n").replace("\r", "\n")
    assert "\x1b" not in seen.text


@given(log_line, st.lists(st.text(max_size=5), max_size=3))
@example("<script>", ["script"])
@example("&lt;", ["lt"])
def test_a_found_word_is_marked_and_nothing_else(text: str, words: list[str]) -> None:
    seen = Seen(str(marked(text, words)))
    assert all(tag == "mark" and not attributes for tag, attributes in seen.tags)


def test_a_log_and_a_commit_are_text_on_every_page(
    client: Client, alice: User, web: App, data_dir: object
) -> None:
    client.force_login(alice)
    made = Deployment.objects.create(
        app=web, number=1, ref="main", status=Status.FAILED, requested_by=alice,
        commit="a" * 40, commit_message=EVIL, commit_author=EVIL, failure=EVIL, failure_hint=EVIL,
    )  # fmt: skip
    log_path(made.pk).parent.mkdir(parents=True, exist_ok=True)
    log_path(made.pk).write_bytes(f"1767225600000 building {EVIL}\n".encode())
    User.objects.update(name=EVIL)
    base = "/projects/shop/apps/web/"
    for path in ("/", "/projects/", "/projects/shop/", base, f"{base}deployments/",
                 f"{base}deployments/1/", f"{base}deployments/1/log/", f"{base}settings/",
                 f"{base}deployments/1/log/search/?q=script", "/deployments/", "/search/?q=script",
                 "/palette/?q=script", f"/search/?q={EVIL}", "/account/"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 200, path
        if answer["Content-Type"] == "application/json":
            continue  # Scripts make text nodes of it; a browser that opens it shows text.
        seen = Seen(answer.content.decode())
        for tag, attributes in seen.tags:
            assert not [name for name in attributes if name.startswith("on")], (path, tag)
            assert tag != "script" or attributes.get("src", "").startswith("/static/"), path  # type: ignore[union-attr]
            assert attributes.get("src") != "x", path
    text = client.get(f"{base}deployments/1/log.txt")
    assert text["Content-Type"].startswith("text/plain")
    assert text["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/static/../mist.db", "/static/%2e%2e/mist.db", "/static/..%2fmist.db", "/static//etc/passwd",
     "/static/....//mist.db", "/static/\\..\\mist.db", "/static/%00", "/samples/..git/info/refs",
     "/samples/../mist.git/info/refs", "/samples/%2e%2e%2f%2e%2e.git/info/refs",
     "/samples/hello.git/../../../mist.db", "/samples/hello.git/objects/../../config",
     "/samples/hello.git/%2e%2e/%2e%2e/secret.key", "/projects/shop/apps/web/logs/../../../../mist.db",
     "/projects/shop%0a/", "/projects/shop/apps/web%0a/", "/projects/../admin/", "/projects/%2e%2e/"],
)  # fmt: skip
def test_path_traversal_by_an_address_finds_nothing(
    client: Client, alice: User, web: App, path: str
) -> None:
    client.force_login(alice)
    answer = client.get(path)
    assert answer.status_code in (400, 403, 404, 405), path
    body = b"".join(answer) if answer.streaming else answer.content
    assert b"SQLite format" not in body and b"root:" not in body


@pytest.mark.parametrize("query", ["at=../../etc/passwd", "at=9:../x:0", "deployment=../1", "container=../../x", "at=%00", "deployment=1%0a"])  # fmt: skip
def test_path_traversal_by_a_logs_parameters_finds_nothing(
    client: Client, alice: User, web: App, data_dir: object, query: str
) -> None:
    client.force_login(alice)
    for page in ("logs/", "logs/chunk/", "logs/text/"):
        answer = client.get(f"/projects/shop/apps/web/{page}?{query}")
        assert answer.status_code in (200, 400, 404), page
        body = b"".join(answer) if answer.streaming else answer.content
        assert b"root:" not in body
