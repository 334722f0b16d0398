"""One-time links: who may make them, who can use them, and how often."""

from __future__ import annotations

import datetime as dt
import re
import threading

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.invitation_services import (
    InvitationProblem,
    digest,
    invitation_accept,
    invitation_create,
    invitation_revoke,
)
from apps.accounts.models import InstanceRole, Invitation, User
from apps.accounts.people_services import person_deactivate, person_update
from apps.audit.models import AuditEvent
from apps.projects.member_services import member_put, member_remove
from apps.projects.models import Membership, Project, ProjectRole

MEMBER, ADMIN, OWNER = InstanceRole
BOB = "bob@example.com"
ANSWERS = {"name": "Bob Baker", "password": "correct-horse-battery"}


def make(name: str, role: InstanceRole = MEMBER) -> User:
    return User.objects.create_user(f"{name}@example.com", name=name.title(), role=role)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def invite(by: User | None, role: InstanceRole = MEMBER, email: str = BOB, **more: object) -> str:
    """The token."""
    link = invitation_create(email=email, role=role, by=by, **more).link  # type: ignore[arg-type]
    return link.rstrip("/").rpartition("/")[2]


def join(client: Client, token: str, **fields: str) -> int:
    return client.post("/join/", {"token": token, **ANSWERS, **fields}).status_code


def test_it_makes_an_account_and_logs_it_in(client: Client, alice: User, shop: Project) -> None:
    token = invite(alice, ADMIN, project=shop, project_role=ProjectRole.DEVELOPER)
    page = client.get(f"/join/{token}/").content.decode()
    assert BOB in page and "Alice Archer" in page and "shop" in page
    assert not User.objects.filter(email=BOB).exists()
    answer = client.post("/join/", {"token": token, **ANSWERS})
    assert answer["Location"] == "/projects/shop/"
    bob = User.objects.get(email=BOB)
    assert (bob.role, bob.name) == (ADMIN, "Bob Baker") and bob.check_password(ANSWERS["password"])
    assert Membership.objects.get().role == ProjectRole.DEVELOPER
    assert client.get("/users/").status_code == 200
    assert {"invitation.create", "user.create", "member.add", "invitation.accept"} <= set(
        AuditEvent.objects.values_list("action", flat=True)
    )


def test_it_cannot_be_used_twice(client: Client, alice: User) -> None:
    token = invite(alice)
    assert join(client, token) == 302
    assert join(Client(), token, name="Mallory") == 404
    assert Client().get(f"/join/{token}/").status_code == 404
    assert User.objects.filter(email=BOB).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_gets_in(alice: User) -> None:
    token, outcomes, start = invite(alice), list[str](), threading.Barrier(2)

    def run(name: str) -> None:
        start.wait()
        try:
            invitation_accept(token=token, name=name, password="correct-horse-battery")
            outcomes.append("in")
        except InvitationProblem:
            outcomes.append("out")
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("Bob", "Mallory")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", "out"]
    assert User.objects.filter(email=BOB).count() == 1


def test_it_ends_with_time(client: Client, alice: User) -> None:
    token = invite(alice)
    found = Invitation.objects.get()
    assert dt.timedelta(days=6.9) < found.expires_at - timezone.now() < dt.timedelta(days=7.1)
    Invitation.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert client.get(f"/join/{token}/").status_code == join(client, token) == 404


def test_it_ends_when_it_is_taken_back(client: Client, alice: User) -> None:
    token = invite(alice)
    hers = browser(alice)
    found = Invitation.objects.get()
    assert "Take back" in hers.get(f"/users/invitations/{found.pk}/revoke/").content.decode()
    hers.post(f"/users/invitations/{found.pk}/revoke/")
    assert client.get(f"/join/{token}/").status_code == join(client, token) == 404
    assert AuditEvent.objects.filter(action="invitation.revoke").count() == 1
    assert not invitation_revoke(invitation=found)


def test_a_new_link_for_an_address_ends_the_old_one(client: Client, alice: User) -> None:
    old, new = invite(alice), invite(alice)
    assert client.get(f"/join/{old}/").status_code == 404
    assert client.get(f"/join/{new}/").status_code == 200


@pytest.mark.parametrize("token", ["x", "%20", "тест", "a" * 3000, "'--"])
def test_a_made_up_token_opens_nothing(client: Client, alice: User, token: str) -> None:
    invite(alice)
    assert client.get(f"/join/{token}/").status_code == join(client, token) == 404


def test_it_cannot_be_taken_over_by_another_account(alice: User) -> None:
    token, mallory = invite(alice, OWNER), make("mallory")
    theirs = browser(mallory)
    page = theirs.get(f"/join/{token}/").content.decode()
    assert "You are logged in as mallory@example.com" in page and ">Accept<" not in page
    page = theirs.post("/join/", {"token": token, **ANSWERS}).content.decode()
    assert f"This invitation is for {BOB}." in page
    mallory.refresh_from_db()
    assert mallory.role == MEMBER and Invitation.objects.get().accepted_at is None


def test_it_opens_no_account_that_is_there_already(client: Client, alice: User) -> None:
    bob = make("bob")
    before = bob.password
    token = invite(None, ADMIN)
    page = client.get(f"/join/{token}/").content.decode()
    assert 'href="/login/?next=' in page and 'name="password"' not in page
    assert join(client, token) == 200
    assert "_auth_user_id" not in client.session
    bob.refresh_from_db()
    assert (bob.password, bob.role) == (before, MEMBER)
    with pytest.raises(InvitationProblem, match="Log in"):
        invitation_accept(token=token, name="Mallory", password="correct-horse-battery")


def test_who_is_logged_in_with_the_address_just_gets_the_roles(alice: User, shop: Project) -> None:
    bob = make("bob", ADMIN)
    token = invite(None, MEMBER, project=shop, project_role=ProjectRole.DEVELOPER)
    his = browser(bob)
    assert ">Accept<" in his.get(f"/join/{token}/").content.decode()
    assert his.post("/join/", {"token": token}).status_code == 302
    bob.refresh_from_db()
    # A role is never lowered by an invitation.
    assert bob.role == ADMIN and bob.name == "Bob"
    assert Membership.objects.get().role == ProjectRole.DEVELOPER
    token = invite(alice, OWNER)
    his.post("/join/", {"token": token})
    token = invite(alice, MEMBER, project=shop, project_role=ProjectRole.VIEWER)
    his.post("/join/", {"token": token})
    bob.refresh_from_db()
    assert bob.is_owner and Membership.objects.get().role == ProjectRole.DEVELOPER


def test_a_deactivated_account_does_not_come_back_through_one(client: Client, alice: User) -> None:
    bob = make("bob")
    token = invite(alice)
    person_deactivate(person=bob, by=alice)
    assert join(client, token) == 200
    bob.refresh_from_db()
    assert not bob.is_active and "_auth_user_id" not in client.session


@pytest.mark.parametrize("loss", ["demoted", "deactivated"])
def test_a_link_gives_no_more_than_its_maker_has_now(
    loss: str, client: Client, alice: User
) -> None:
    adam = make("adam", ADMIN)
    token = invite(adam, ADMIN)
    if loss == "demoted":
        person_update(person=adam, name="Adam", role=MEMBER, by=alice)
    else:
        person_deactivate(person=adam, by=alice)
    assert client.get(f"/join/{token}/").status_code == join(client, token) == 404


def test_who_left_a_project_lets_nobody_into_it(client: Client, shop: Project) -> None:
    meg = make("meg")
    member = member_put(project=shop, user=meg, role=ProjectRole.ADMIN, created_by=None)
    token = invite(meg, project=shop, project_role=ProjectRole.VIEWER)
    member_remove(member=member)
    assert join(client, token) == 404


@pytest.mark.parametrize("role", list(InstanceRole))
def test_nobody_invites_above_themselves(role: InstanceRole, alice: User, shop: Project) -> None:
    adam, meg, dev = make("adam", ADMIN), make("meg"), make("dev")
    member_put(project=shop, user=meg, role=ProjectRole.ADMIN, created_by=None)
    member_put(project=shop, user=dev, role=ProjectRole.DEVELOPER, created_by=None)
    other = Project.objects.create(slug="other")

    def works(by: User, project: Project | None = None) -> bool:
        project_role = ProjectRole.VIEWER if project else None
        try:
            invite(by, role, project=project, project_role=project_role)
        except InvitationProblem:
            return False
        return True

    assert works(alice)
    assert works(adam) == (role != OWNER)
    assert works(meg, shop) == (role == MEMBER)
    assert not works(meg) and not works(meg, other) and not works(dev, shop)


def test_the_token_is_kept_as_a_digest_and_shown_once(alice: User) -> None:
    hers = browser(alice)
    answer = hers.post("/users/invitations/", {"email": "Bob@Example.com", "role": "member"})
    page = answer.content.decode()
    [token] = set(re.findall(r"/join/([\w-]{43})/", page))
    assert "no-store" in answer["Cache-Control"]
    found = Invitation.objects.get()
    assert found.token_digest == digest(token) and found.email == BOB
    assert token not in str(Invitation.objects.values().get()) + str(AuditEvent.objects.values())
    for path in ("/users/invitations/", f"/admin/accounts/invitation/{found.pk}/change/"):
        later = hers.get(path).content.decode()
        assert BOB in later and token not in later and found.token_digest not in later


def test_the_link_is_never_made_from_the_host_header(alice: User, settings: Settings) -> None:
    settings.MIST_URL = "https://mist.example.com"
    page = browser(alice).post(
        "/users/invitations/",
        {"email": BOB, "role": "member"},
        headers={"host": "localhost:9"},
    )
    text = page.content.decode()
    assert "https://mist.example.com/join/" in text and "localhost:9/join" not in text


def test_it_is_mailed_where_there_is_a_mail_server(alice: User, settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://mail.example.com"
    page = browser(alice).post("/users/invitations/", {"email": BOB, "role": "admin"})
    [message] = mail.outbox
    assert message.to == [BOB] and "Alice Archer invites you" in str(message.body)
    [token] = re.findall(r"/join/([\w-]{43})/", str(message.body))
    # Who invites need not be able to be who is invited.
    assert token not in page.content.decode()
    assert join(Client(), token) == 302


def test_a_mail_server_that_does_not_answer_leaves_the_link_to_copy(
    alice: User, settings: Settings
) -> None:
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    page = browser(alice).post("/users/invitations/", {"email": BOB, "role": "member"})
    assert re.search(r"/join/[\w-]{43}/", page.content.decode())


def test_a_bad_password_makes_no_account_and_does_not_use_the_link_up(
    client: Client, alice: User
) -> None:
    token = invite(alice)
    page = client.post("/join/", {"token": token, "name": "Bob", "password": "short"})
    assert "at least 12 characters" in page.content.decode()
    assert join(client, token) == 302


def test_a_project_cannot_be_seen_through_the_form(alice: User) -> None:
    page = browser(make("adam", ADMIN)).post(
        "/users/invitations/", {"email": BOB, "role": "member", "project": "nothing"}
    )
    assert "There is no such project." in page.content.decode()
