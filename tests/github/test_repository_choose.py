"""Choosing a repository and a branch among very many."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.projects.models import App, Project
from apps.projects.source_models import SourceKind
from apps.sources.models import GitHubApp, GitHubLink, Installation
from tests.github.api import GitHubHost, Said

PICK = "/projects/shop/new-app/github/"


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def many(near: GitHubHost, halden: Installation) -> GitHubHost:
    for number in range(250):
        near.repository(1, 1000 + number, f"halden/service-{number:03}")
    return near


def names(page: str) -> list[str]:
    return [
        html.unescape(one) for one in re.findall(r'row-link clip" href="[^"]*"[^>]*>([^<]*)<', page)
    ]


def get(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_all_250_can_be_paged_through(inside: Client, many: GitHubHost) -> None:
    seen = [name for page in range(1, 6) for name in names(get(inside, f"{PICK}?page={page}"))]
    assert seen == [f"halden/service-{number:03}" for number in range(250)]


def test_the_search_finds_what_is_on_the_last_page(inside: Client, many: GitHubHost) -> None:
    assert names(get(inside, f"{PICK}?q=SERVICE+249")) == ["halden/service-249"]
    page = get(inside, f"{PICK}?q=zebra")
    assert names(page) == [] and "Nothing matches" in page


def test_typing_does_not_ask_github_for_every_letter(inside: Client, many: GitHubHost) -> None:
    for typed in ("s", "se", "ser", "serv"):
        get(inside, f"{PICK}?q={typed}")
    assert many.count("GET", "/installation/repositories") == 3


def test_repositories_of_several_accounts_are_one_list(
    inside: Client, near: GitHubHost, halden: Installation, shop: Project
) -> None:
    near.install(2, "archer")
    other = Installation.objects.create(
        github_app=halden.github_app, installation_id=2, account="archer"
    )
    other.projects.add(shop)
    near.repository(1, 7, "halden/web")
    near.repository(2, 8, "archer/notes")
    assert names(get(inside, PICK)) == ["archer/notes", "halden/web"]


def test_one_account_that_does_not_answer_hides_no_other(
    inside: Client, near: GitHubHost, halden: Installation, shop: Project
) -> None:
    near.repository(1, 7, "halden/web")
    gone = Installation.objects.create(
        github_app=halden.github_app, installation_id=2, account="archer"
    )
    gone.projects.add(shop)
    page = get(inside, PICK)
    assert names(page) == ["halden/web"]
    assert "archer: 127.0.0.1 does not know this" in html.unescape(page)


def test_a_limit_is_told_with_when_it_ends(
    inside: Client, near: GitHubHost, halden: Installation
) -> None:
    near.faults += [Said(403, {"message": "slow down"}, {"Retry-After": "600"})]
    assert "It answers again in about 10 min" in get(inside, PICK)


def test_branches_are_searched_over_all_pages(
    inside: Client, near: GitHubHost, halden: Installation
) -> None:
    near.repository(1, 7, "halden/web", "trunk", *(f"feature-{n:03}" for n in range(249)), "a b")
    chosen = f"{PICK}?installation={halden.pk}&repository=7"
    page = get(inside, chosen)
    assert names(page)[:2] == ["trunk", "feature-000"]
    assert 'name="branch" value="trunk"' in page and 'name="slug" value="web"' in page
    assert names(get(inside, f"{chosen}&q=248")) == ["feature-248"]
    assert "a b" not in names(get(inside, f"{chosen}&q=a"))
    assert 'value="feature-248"' in get(inside, f"{chosen}&branch=feature-248")


def test_the_app_is_that_repository_and_branch(
    inside: Client, near: GitHubHost, github_app: GitHubApp, halden: Installation, alice: User
) -> None:
    near.repository(1, 7, "halden/Web.Site", "main", "next")
    chosen = f"{PICK}?installation={halden.pk}&repository=7"
    assert 'name="slug" value="web-site"' in get(inside, chosen)
    typed = {"slug": "site", "branch": "next", "dockerfile": "deploy/Dockerfile", "port": "8000"}
    answer = inside.post(chosen, typed)
    assert answer["Location"] == "/projects/shop/apps/site/"
    app = App.objects.get(slug="site")
    assert (app.source_kind, app.branch, app.repository_id) == (SourceKind.GITHUB, "next", "7")
    assert app.repository == f"{near.url}/halden/Web.Site.git"
    assert (app.dockerfile, app.port, app.created_by) == ("deploy/Dockerfile", 8000, alice)
    link = GitHubLink.objects.get(app=app)
    assert (link.installation, link.repository_id, link.full_name) == (halden, 7, "halden/Web.Site")


def test_what_was_typed_wrong_is_told_and_nothing_is_made(
    inside: Client, near: GitHubHost, halden: Installation, web: App
) -> None:
    near.repository(1, 7, "halden/web")
    chosen = f"{PICK}?installation={halden.pk}&repository=7"
    page = html.unescape(inside.post(chosen, {"slug": "web", "branch": "$(id)"}).content.decode())
    assert "shop has an app web already" in page and "A branch or tag has letters" in page
    assert App.objects.count() == 1
    # What a form for any address would take has no say here.
    more = {
        "slug": "api",
        "branch": "main",
        "repository": "https://evil.example/x",
        "source_kind": "git",
    }
    inside.post(chosen, more)
    assert App.objects.get(slug="api").repository == f"{near.url}/halden/web.git"


def test_a_repository_that_the_installation_does_not_have_is_none(
    inside: Client, near: GitHubHost, halden: Installation
) -> None:
    near.install(2, "other")
    near.repository(2, 8, "other/secret")
    for query in (f"installation={halden.pk}&repository=8", "installation=99&repository=8",
                  "installation=x&repository=7", f"installation={halden.pk}&repository=9" + "9" * 40):  # fmt: skip
        assert inside.get(f"{PICK}?{query}").status_code == 404
        assert inside.post(f"{PICK}?{query}", {"slug": "x", "branch": "main"}).status_code == 404


def test_an_app_that_there_is_becomes_a_repository_of_github(
    inside: Client, near: GitHubHost, halden: Installation, web: App
) -> None:
    near.repository(1, 7, "halden/web", "main", "next")
    page = get(inside, "/projects/shop/apps/web/source/")
    assert "/projects/shop/apps/web/source/github/" in page
    chosen = f"/projects/shop/apps/web/source/github/?installation={halden.pk}&repository=7"
    assert names(get(inside, chosen)) == ["main", "next"]
    assert inside.post(chosen, {"branch": "next"}).status_code == 302
    web.refresh_from_db()
    assert (web.source_kind, web.branch, web.github.full_name) == ("github", "next", "halden/web")
    page = get(inside, "/projects/shop/apps/web/source/")
    assert "Through Mist of Halden, installed in halden" in page
    # Its address is not to be typed: the token for it would go there.
    typed = {"repository": "https://evil.example/x.git", "branch": "main", "source_kind": "github"}
    assert inside.post("/projects/shop/apps/web/source/", typed).status_code == 302
    web.refresh_from_db()
    assert web.repository == f"{near.url}/halden/web.git"
