"""Giving an app what opens its repository: written once, shown never, and recorded."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments.logs import log_path
from apps.deployments.models import Status
from apps.engine.data import GitAccess
from apps.engine.errors import CloneFailed, HostKeyRefused
from apps.engine.fake import FakeEngine
from apps.engine.known_hosts import HostKey
from apps.projects.models import App, Project
from apps.sources.access import git_access
from apps.sources.credential_services import deploy_key_make, git_token_save, known_host_confirm
from apps.sources.models import GitCredential, KnownHost
from tests.access.table import HOST_KEY
from tests.deployments.test_deployment_run import deploy

PAGE = "/projects/shop/apps/web/source/"
TOKEN = "glpat-s3cret-of-the-app"
SSH = "ssh://git@git.example.com:2222/shop/web.git"
SHOWN = (
    HostKey("git.example.com", 2222, "ssh-ed25519", HOST_KEY),
    HostKey("git.example.com", 2222, "ssh-rsa", "AAAAB3NzaC1yc2EAAAADAQABAAABAQ" + "C7" * 31),
)


@pytest.fixture
def inside(client: Client, alice: User, web: App, fake: FakeEngine) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def over_ssh(web: App) -> App:
    web.repository = SSH
    web.save()
    return web


def page_of(client: Client) -> str:
    return client.get(PAGE).content.decode()


def test_a_token_is_saved_and_shown_to_nobody(inside: Client, web: App) -> None:
    answer = inside.post(f"{PAGE}access/token/", {"token": TOKEN, "username": "ci"}, follow=True)
    assert "Nobody is shown it again" in answer.content.decode()
    assert TOKEN not in answer.content.decode() + page_of(inside)
    access = git_access(web)
    assert (access.username, access.password, access.ssh_key) == ("ci", TOKEN, "")
    event = AuditEvent.objects.get(action="git_token.save")
    assert TOKEN not in f"{event.before}{event.after}{event.thing_name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM sources_gitcredential")
        assert TOKEN not in cursor.fetchone()[0]


@pytest.mark.parametrize("token", ["", "two words", "a\nb", "x" * 5000])
def test_what_is_no_token_is_not_saved_and_not_sent_back(inside: Client, token: str) -> None:
    answer = inside.post(f"{PAGE}access/token/", {"token": token})
    assert answer.status_code == 200 and not GitCredential.objects.exists()
    assert not token or token not in answer.content.decode()


def test_a_new_token_takes_the_old_ones_place(inside: Client, web: App, alice: User) -> None:
    deploy_key_make(app=web, made_by=alice)
    for token in ("first-token", TOKEN):
        inside.post(f"{PAGE}access/token/", {"token": token})
    credential = GitCredential.objects.get()
    assert (credential.secret, credential.public_key) == (TOKEN, "")
    inside.post(f"{PAGE}access/remove/")
    assert git_access(web) == GitAccess()


def test_a_deploy_key_shows_its_public_half_alone(inside: Client, web: App) -> None:
    page = inside.post(f"{PAGE}access/key/", follow=True).content.decode()
    credential = GitCredential.objects.get()
    assert credential.public_key.startswith("ssh-ed25519 ") and credential.public_key in page
    assert credential.public_key.endswith(" mist-shop-web")
    private = load_ssh_private_key(credential.secret.encode(), None)
    public = load_ssh_public_key(credential.public_key.encode())
    assert private.public_key() == public
    assert credential.secret.splitlines()[2] not in page
    event = AuditEvent.objects.get(action="deploy_key.make")
    assert event.after["public_key"] == credential.public_key
    first = credential.secret
    inside.post(f"{PAGE}access/key/")
    assert GitCredential.objects.get().secret != first


def test_every_app_has_a_key_of_its_own(web: App, shop: Project, alice: User) -> None:
    other = App.objects.create(project=shop, slug="api", repository=SSH)
    keys = {deploy_key_make(app=app, made_by=alice).public_key for app in (web, other)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("repository", "where"),
    [
        ("https://github.com/halden/api", "https://github.com/halden/api/settings/keys/new"),
        ("git@gitlab.com:halden/api.git", "https://gitlab.com/halden/api/-/settings/repository"),
        ("https://codeberg.org/halden/api", "https://codeberg.org/halden/api/settings/keys"),
        ("git@bitbucket.org:halden/api", "https://bitbucket.org/halden/api/admin/access-keys/"),
    ],
)
def test_the_page_leads_to_where_the_host_takes_it(
    inside: Client, web: App, alice: User, repository: str, where: str
) -> None:
    web.repository = repository
    web.save()
    deploy_key_make(app=web, made_by=alice)
    assert f'href="{where}' in page_of(inside)


def test_a_deployment_opens_the_repository_with_it(fake: FakeEngine, web: App, alice: User) -> None:
    git_token_save(app=web, username="", token=TOKEN, saved_by=alice)
    App.objects.update(has_submodules=True, has_lfs=True)
    assert deploy(web).status == Status.LIVE
    assert fake.git.accesses == [
        GitAccess(username="oauth2", password=TOKEN, submodules=True, lfs=True)
    ]


def test_a_token_that_git_says_is_hidden_in_the_log(
    fake: FakeEngine, web: App, alice: User
) -> None:
    git_token_save(app=web, username="", token=TOKEN, saved_by=alice)
    fake.git.fail("fetch", CloneFailed(f"The host said {TOKEN}.", detail=f"remote: {TOKEN}"))
    deployment = deploy(web)
    assert deployment.status == Status.FAILED
    said = f"{deployment.failure}{deployment.failure_hint}{deployment.failure_detail}"
    assert TOKEN not in said + log_path(deployment.pk).read_text()


def test_the_test_lists_branches(inside: Client, web: App, fake: FakeEngine, alice: User) -> None:
    git_token_save(app=web, username="", token=TOKEN, saved_by=alice)
    fake.git.commit("Next", branch="next")
    page = inside.post(f"{PAGE}access/test/").content.decode()
    assert "Mist can read the repository" in page and "main, next" in page
    assert fake.git.accesses[-1] == git_access(web)
    App.objects.update(branch="gone")
    assert "There is no branch" in inside.post(f"{PAGE}access/test/").content.decode()


def test_the_test_says_what_is_wrong(inside: Client, web: App, fake: FakeEngine) -> None:
    fake.git.fail("branches", CloneFailed("The repository is private.", hint="Give it a token."))
    page = inside.post(f"{PAGE}access/test/").content.decode()
    assert "The repository is private." in page and "Give it a token." in page


def test_a_server_is_confirmed_with_the_keys_that_were_shown(
    inside: Client, over_ssh: App, fake: FakeEngine
) -> None:
    fake.git.fail("branches", HostKeyRefused("Nobody has confirmed it.", hint="Compare it."))
    assert "Nobody has confirmed it." in inside.post(f"{PAGE}access/test/").content.decode()
    fake.git.shown_keys = SHOWN
    page = inside.post(f"{PAGE}access/hosts/ask/").content.decode()
    assert all(key.fingerprint in page for key in SHOWN) and not KnownHost.objects.exists()
    fake.git.shown_keys = ()
    lines = "\r\n".join(key.line for key in SHOWN)
    inside.post(f"{PAGE}access/hosts/confirm/", {"lines": lines})
    assert git_access(over_ssh).known_hosts == tuple(key.line for key in SHOWN)
    event = AuditEvent.objects.get(action="known_host.confirm")
    assert SHOWN[0].fingerprint in event.after["fingerprints"]
    page = page_of(inside)
    assert "is confirmed." in page and SHOWN[0].fingerprint in page


def test_replacing_a_servers_keys_is_a_deed_of_its_own(
    inside: Client, over_ssh: App, fake: FakeEngine, alice: User
) -> None:
    known_host_confirm(project=over_ssh.project, keys=SHOWN, confirmed_by=alice)
    new = HostKey("git.example.com", 2222, "ssh-ed25519", HOST_KEY[:-4] + "9GKm")
    fake.git.shown_keys = (new,)
    page = inside.post(f"{PAGE}access/hosts/ask/").content.decode()
    assert "Replace what is known of" in page and "Replace keys" in page
    inside.post(f"{PAGE}access/hosts/confirm/", {"lines": new.line})
    assert git_access(over_ssh).known_hosts == (new.line,)
    event = AuditEvent.objects.get(action="known_host.replace")
    assert SHOWN[0].fingerprint in event.before["fingerprints"]
    assert event.after["fingerprints"] == new.fingerprint


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "nonsense",
        f"other.example.com ssh-ed25519 {HOST_KEY}",
        f"git.example.com ssh-ed25519 {HOST_KEY}",
        f"[git.example.com]:2222 ssh-ed25519 {HOST_KEY}\n* ssh-ed25519 {HOST_KEY}",
        f"@cert-authority [git.example.com]:2222 ssh-ed25519 {HOST_KEY}",
    ],
)
def test_only_keys_of_the_repositorys_own_server_are_confirmed(
    inside: Client, over_ssh: App, lines: str
) -> None:
    inside.post(f"{PAGE}access/hosts/confirm/", {"lines": lines})
    assert not KnownHost.objects.exists()


def test_a_confirmed_server_is_one_projects_alone(over_ssh: App, alice: User) -> None:
    known_host_confirm(project=over_ssh.project, keys=SHOWN, confirmed_by=alice)
    other = App.objects.create(
        project=Project.objects.create(slug="other"), slug="web", repository=SSH
    )
    assert git_access(other).known_hosts == ()


def test_forgetting_a_server_takes_all_its_keys(inside: Client, over_ssh: App, alice: User) -> None:
    known_host_confirm(project=over_ssh.project, keys=SHOWN, confirmed_by=alice)
    inside.post(f"{PAGE}access/hosts/{KnownHost.objects.latest('pk').pk}/remove/")
    assert not KnownHost.objects.exists()
