"""Logins of a project for registries: their page, their test, who sees what of them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments.services import deployment_request
from apps.engine.errors import RegistryUnreachable
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import app_update, project_create
from apps.projects.source_models import SourceKind
from apps.sources import registry_checks, tasks
from apps.sources.models import ImageCheck, RegistryCredential
from apps.sources.registries import login_for
from apps.sources.registry_services import image_check, registry_save, registry_test
from tests.deployments.test_deployment_run import deploy

PAGE = "/projects/shop/registries/"
SECRET = "open-sesame-word"
TYPED = {"registry": "ghcr.io", "username": "robin", "password": SECRET}
IMAGE = "ghcr.io/halden/shop:1.0"


@pytest.fixture(autouse=True)
def _nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test itself does what a worker does."""
    for task in (tasks.try_registry, tasks.check_image):
        monkeypatch.setattr(task, "delay", lambda pk: None)


@pytest.fixture
def inside(client: Client, alice: User, shop: Project) -> Client:
    client.force_login(alice)
    return client


def save(project: Project, registry: str = "ghcr.io", password: str = SECRET) -> RegistryCredential:
    return registry_save(
        project=project, registry=registry, username="robin", password=password, created_by=None
    )


def page(client: Client, path: str = PAGE) -> str:
    return client.get(path).content.decode()


def test_a_login_is_added_and_its_password_is_shown_nowhere(
    fake: FakeEngine, inside: Client, shop: Project
) -> None:
    assert inside.post(PAGE, TYPED).status_code == 302
    made = RegistryCredential.objects.get()
    assert (made.registry, made.username, made.secret) == ("ghcr.io", "robin", SECRET)
    shown = page(inside)
    assert "ghcr.io" in shown and "robin" in shown and SECRET not in shown
    events = [str((e.before, e.after, e.thing_name)) for e in AuditEvent.objects.all()]
    assert SECRET not in "".join(events) and SECRET not in repr(login_for(shop, "ghcr.io"))


def test_a_login_for_the_same_registry_replaces_the_one_before(
    fake: FakeEngine, inside: Client, shop: Project
) -> None:
    save(shop)
    inside.post(PAGE, {"registry": "GHCR.io", "username": "carol", "password": "another-word"})
    made = RegistryCredential.objects.get()
    assert (made.username, made.secret) == ("carol", "another-word")
    event = AuditEvent.objects.get(action="registry.change")
    assert (event.before, event.after) == ({"username": "robin"}, {"username": "carol"})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"registry": "https://ghcr.io"}, "without https://"),
        ({"registry": "ghcr.io/halden"}, "without https://"),
        ({"registry": ""}, "Name the registry"),
        ({"username": ""}, "Say as whom"),
        ({"username": "a\x07b"}, "control characters"),
        ({"password": ""}, "is needed"),
    ],
)
def test_what_is_wrong_is_said_and_the_password_not_sent_back(
    fake: FakeEngine, inside: Client, changes: dict[str, str], says: str
) -> None:
    answer = inside.post(PAGE, TYPED | changes)
    assert answer.status_code == 200 and says in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert not RegistryCredential.objects.exists()


def test_developers_see_logins_and_test_them_and_admins_alone_change_them(
    fake: FakeEngine, client: Client, shop: Project
) -> None:
    made = save(shop)
    bob = User.objects.create_user("bob@example.com", name="Bob")
    member = Membership.objects.create(project=shop, user=bob, role=ProjectRole.DEVELOPER)
    client.force_login(bob)
    shown = page(client)
    assert "ghcr.io" in shown and 'name="password"' not in shown and "/remove/" not in shown
    assert client.post(PAGE, TYPED).status_code == 403
    assert client.post(f"{PAGE}{made.pk}/test/").status_code == 302
    member.role = ProjectRole.VIEWER
    member.save()
    assert client.get(PAGE).status_code == 403
    assert "registries/" not in page(client, "/projects/shop/")


def test_a_login_of_another_project_does_not_exist(
    fake: FakeEngine, inside: Client, alice: User
) -> None:
    other = save(project_create(slug="other", created_by=alice))
    assert inside.post(f"{PAGE}{other.pk}/remove/").status_code == 404
    assert inside.post(f"{PAGE}{other.pk}/test/").status_code == 404
    assert RegistryCredential.objects.get() == other


def test_removing_asks_first(fake: FakeEngine, inside: Client, shop: Project) -> None:
    made = save(shop)
    asked = page(inside, f"{PAGE}{made.pk}/remove/")
    assert "Remove the login for ghcr.io?" in asked and RegistryCredential.objects.exists()
    assert inside.post(f"{PAGE}{made.pk}/remove/").status_code == 302
    assert not RegistryCredential.objects.exists()


def test_the_test_says_whether_the_registry_takes_it(
    fake: FakeEngine, inside: Client, shop: Project
) -> None:
    fake.containers.logins["ghcr.io"] = ("robin", SECRET)
    made = save(shop)
    assert "Not tested" in page(inside)
    registry_test(credential=made)
    assert "Logging in" in page(inside)
    registry_checks.try_login(made.pk)
    assert "Works" in page(inside)
    save(shop, password="wrong-word")
    assert "Not tested" in page(inside)
    registry_checks.try_login(made.pk)
    assert "ghcr.io refused the login of robin." in page(inside)
    fake.containers.fail("check_login", RegistryUnreachable("ghcr.io does not answer."))
    registry_checks.try_login(made.pk)
    assert "ghcr.io does not answer." in page(inside)


def test_a_verdict_about_a_login_that_was_replaced_meanwhile_is_dropped(
    fake: FakeEngine, shop: Project
) -> None:
    made = save(shop)
    fake.containers.fail("check_login", lambda: save(shop, password="another-word"))
    registry_checks.try_login(made.pk)
    assert RegistryCredential.objects.get().tested_at is None
    registry_checks.try_login(made.pk + 1)


def test_a_question_that_was_lost_may_be_asked_again(
    fake: FakeEngine, inside: Client, shop: Project
) -> None:
    made = save(shop)
    registry_test(credential=made)
    long_ago = timezone.now() - dt.timedelta(seconds=61)
    RegistryCredential.objects.update(test_asked_at=long_ago)
    assert "Logging in" not in page(inside)


def test_only_the_very_registry_is_shown_the_login(shop: Project, alice: User) -> None:
    save(shop)
    found = login_for(shop, "ghcr.io")
    assert found is not None and (found.registry, found.password) == ("ghcr.io", SECRET)
    for other in ("ghcr.io:5000", "docker.io", "evil.ghcr.io", "ghcr.io.example.com", ""):
        assert login_for(shop, other) is None
    assert login_for(project_create(slug="other", created_by=alice), "ghcr.io") is None


# ------------------------------------------------------------------------------ the page Source


@pytest.fixture
def ready(web: App) -> App:
    return app_update(app=web, source_kind=SourceKind.IMAGE, image_name=IMAGE)


def source(client: Client) -> str:
    return page(client, reverse("app_source", args=["shop", "web"]))


def test_the_page_says_whether_the_registry_has_a_newer_image(
    fake: FakeEngine, inside: Client, ready: App
) -> None:
    old = fake.containers.publish(IMAGE, "one")
    assert "No image yet" in source(inside) and "Not asked yet" in source(inside)
    deploy(ready)
    assert f"ghcr.io/halden/shop@{old}" in source(inside)
    image_check(app=ready)
    assert "Being asked" in source(inside)
    registry_checks.check_image(ready.pk)
    assert "Has the image that runs" in source(inside)
    new = fake.containers.publish(IMAGE, "two")
    registry_checks.check_image(ready.pk)
    shown = source(inside)
    assert "Has another one by now" in shown and new[:19] in shown and "Deploy it" in shown
    deploy(ready)
    assert "Has the image that runs" in source(inside)


def test_a_registry_that_does_not_answer_is_told(
    fake: FakeEngine, inside: Client, ready: App
) -> None:
    image_check(app=ready)
    fake.containers.fail("published_digest", RegistryUnreachable("ghcr.io does not answer."))
    registry_checks.check_image(ready.pk)
    assert "ghcr.io does not answer." in source(inside)


def test_what_was_found_of_another_image_is_not_shown(
    fake: FakeEngine, inside: Client, ready: App
) -> None:
    fake.containers.publish(IMAGE, "one")
    image_check(app=ready)
    registry_checks.check_image(ready.pk)
    app_update(app=ready, image_name="nginx:1.27")
    assert "Not asked yet" in source(inside)
    app_update(app=ready, source_kind=SourceKind.GIT)
    assert 'id="image-h"' not in source(inside)
    registry_checks.check_image(ready.pk)
    assert ImageCheck.objects.get().image == IMAGE


def test_an_image_is_typed_on_the_page_and_checked(
    fake: FakeEngine, inside: Client, web: App
) -> None:
    path = reverse("app_source", args=["shop", "web"])
    wrong = inside.post(path, {"source_kind": "image", "image_name": "ghcr.io/Halden/shop"})
    assert "lower-case letters" in wrong.content.decode()
    assert inside.post(path, {"source_kind": "image", "image_name": IMAGE}).status_code == 302
    web.refresh_from_db()
    assert (web.source_kind, web.image_name) == ("image", IMAGE)


def test_pages_of_an_image_speak_of_tags_and_digests(
    fake: FakeEngine, inside: Client, ready: App
) -> None:
    digest = fake.containers.publish(IMAGE, "one")
    base = "/projects/shop/apps/web"
    fresh = page(inside, f"{base}/")
    assert "pulls" in fresh and "Dockerfile" not in fresh
    inside.post(f"{base}/deploy/", {"ref": "1.0"})
    assert deployment_request(app=ready, requested_by=None).number == 2
    done = deploy(ready)
    shown = page(inside, f"{base}/deployments/{done.number}/")
    assert IMAGE in shown and digest[7:19] in shown
    assert "Pull" in shown and "Clone" not in shown and ">Build<" not in shown
    other = page(inside, f"{base}/deployments/?deploy=other")
    assert "Tag or digest" in other and 'name="no_cache"' not in other and "branch" not in other
    refused = inside.post(f"{base}/deploy/", {"ref": "no tag"})
    assert "A tag has letters" in refused.content.decode()
    for path in ("/", "/deployments/", "/projects/shop/", f"{base}/"):
        assert inside.get(path).status_code == 200
    assert done.title == IMAGE
