"""Users: who may change whom, and that there is always an owner."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.invitation_services import invitation_create
from apps.accounts.models import InstanceRole, Invitation, User
from apps.accounts.people_services import (
    PersonProblem,
    may_give,
    may_manage,
    person_activate,
    person_deactivate,
    person_delete,
    person_update,
)
from apps.audit.models import AuditEvent
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import variables_save

MEMBER, ADMIN, OWNER = InstanceRole
Act = Callable[[User, User | None], None]


def make(name: str, role: InstanceRole = MEMBER) -> User:
    return User.objects.create_user(f"{name}@example.com", name=name.title(), role=role)


@pytest.fixture
def bob(db: None) -> User:
    return make("bob")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def demote(person: User, by: User | None) -> None:
    person_update(person=person, name=person.name, role=MEMBER, by=by)


def deactivate(person: User, by: User | None) -> None:
    person_deactivate(person=person, by=by)


def delete(person: User, by: User | None) -> None:
    heir = User.objects.get(email="bob@example.com")
    person_delete(person=person, heir=heir, by=by)


ACTS = pytest.mark.parametrize("act", [demote, deactivate, delete])


@ACTS
def test_the_last_active_owner_cannot_be_removed(act: Act, alice: User, bob: User) -> None:
    olga = make("olga", OWNER)
    User.objects.filter(pk=olga.pk).update(is_active=False)
    with pytest.raises(PersonProblem, match="last owner"):
        act(alice, None)
    alice.refresh_from_db()
    assert alice.is_owner and alice.deleted_at is None
    assert not AuditEvent.objects.exists()


@ACTS
@pytest.mark.django_db(transaction=True)
def test_of_two_owners_that_remove_each_other_at_once_one_stays(
    act: Act, alice: User, bob: User
) -> None:
    olga = make("olga", OWNER)
    start, outcomes = threading.Barrier(2), list[str]()

    def run(person: User, by: User) -> None:
        start.wait()
        try:
            act(person, by)
            outcomes.append("done")
        except PersonProblem:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in ((alice, olga), (olga, alice))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "refused"]
    assert User.objects.filter(role=OWNER, is_active=True).count() == 1


@ACTS
def test_an_admin_changes_no_owner(act: Act, alice: User, bob: User) -> None:
    make("olga", OWNER)
    with pytest.raises(PersonProblem, match="Only an owner"):
        act(alice, make("adam", ADMIN))
    alice.refresh_from_db()
    assert alice.is_owner


@ACTS
def test_who_lost_the_role_meanwhile_changes_nobody(act: Act, alice: User, bob: User) -> None:
    adam = make("adam", ADMIN)
    User.objects.filter(pk=adam.pk).update(role=MEMBER)
    assert adam.is_admin
    with pytest.raises(PersonProblem):
        act(make("charlie", ADMIN), adam)


def test_nobody_gives_more_than_they_have(alice: User, bob: User) -> None:
    adam = make("adam", ADMIN)
    with pytest.raises(PersonProblem, match="Only an owner"):
        person_update(person=bob, name="Bob", role=OWNER, by=adam)
    for role, givers in {MEMBER: 2, ADMIN: 2, OWNER: 1}.items():
        assert [may_give(by, role) for by in (alice, adam, bob)].count(True) == givers
    assert may_manage(adam, bob) and not may_manage(bob, adam) and not may_manage(adam, alice)
    person_update(person=bob, name="Bob", role=ADMIN, by=adam)
    person_update(person=bob, name="Bob", role=OWNER, by=alice)
    bob.refresh_from_db()
    assert bob.is_owner


def test_pages_hold_to_the_same_rules(alice: User, bob: User) -> None:
    adam = make("adam", ADMIN)
    pages = browser(adam)
    for path in ("", "deactivate/", "activate/", "delete/"):
        fields = {"name": "X", "role": "member", "heir": "adam@example.com"}
        assert pages.post(f"/users/{alice.pk}/{path}", fields).status_code == 403
    page = pages.get(f"/users/{alice.pk}/").content.decode()
    assert "Only owners change owners" in page and "/deactivate/" not in page
    page = pages.get(f"/users/{bob.pk}/").content.decode()
    assert 'value="admin"' in page and 'value="owner"' not in page
    page = pages.post(f"/users/{bob.pk}/", {"name": "Bob", "role": "owner"}).content.decode()
    assert 'id="id_role_error"' in page
    bob.refresh_from_db()
    alice.refresh_from_db()
    assert bob.role == MEMBER and alice.is_owner and alice.name == "Alice Archer"


def test_a_page_says_why_the_last_owner_stays(alice: User) -> None:
    page = browser(alice).post(f"/users/{alice.pk}/", {"name": "Alice", "role": "member"})
    assert "is the last owner" in page.content.decode()
    for path in ("deactivate/", "delete/"):
        browser(alice).post(f"/users/{alice.pk}/{path}", {"heir": "alice@example.com"})
    alice.refresh_from_db()
    assert alice.is_owner and alice.deleted_at is None


def test_a_change_is_audited(alice: User, bob: User) -> None:
    pages = browser(alice)
    pages.post(f"/users/{bob.pk}/", {"name": "Robert", "role": "admin"})
    pages.post(f"/users/{bob.pk}/deactivate/")
    pages.post(f"/users/{bob.pk}/activate/")
    pages.post(f"/users/{bob.pk}/delete/", {"heir": "alice@example.com"})
    events = list(AuditEvent.objects.order_by("id"))
    assert [e.action for e in events] == [
        *("user.update", "user.deactivate", "user.activate", "user.delete")
    ]
    assert {e.actor_id for e in events} == {alice.pk}
    assert {e.thing_name for e in events} == {"bob@example.com"}
    assert events[0].before == {"name": "Bob", "role": "member"}
    assert events[0].after == {"name": "Robert", "role": "admin"}
    assert events[3].after == {"heir": "alice@example.com"}


def test_a_deactivated_person_is_logged_out_for_good(alice: User, bob: User) -> None:
    his, hers = browser(bob), browser(alice)
    assert his.get("/").status_code == 200
    hers.post(f"/users/{bob.pk}/deactivate/")
    assert his.get("/").status_code == 302
    assert his.get("/account/")["Location"].startswith("/login/")
    hers.post(f"/users/{bob.pk}/activate/")
    bob.refresh_from_db()
    assert bob.is_active
    # What was a session once is none again.
    assert his.get("/").status_code == 302
    assert hers.get("/").status_code == 200
    assert Session.objects.count() == 1


def test_who_is_deleted_leaves_what_they_own_and_their_name(
    alice: User, shop: Project, web: App
) -> None:
    bob = make("bob", ADMIN)
    dora = make("dora")
    Project.objects.update(owner=bob, created_by=bob)
    Membership.objects.create(project=shop, user=bob, role=ProjectRole.DEVELOPER)
    variables_save(app=web, values={"A": "1"}, changed_by=bob)
    invitation_create(email="eve@example.com", role=MEMBER, by=bob)
    his = browser(bob)
    person_delete(person=bob, heir=dora, by=alice)
    shop.refresh_from_db()
    bob.refresh_from_db()
    assert shop.owner == dora and shop.created_by == bob
    assert [(m.user, m.role) for m in Membership.objects.all()] == [(dora, ProjectRole.ADMIN)]
    assert not Invitation.objects.exists()
    assert his.get("/").status_code == 302
    assert bob.role == MEMBER and not bob.is_active and not bob.has_usable_password()
    hers = browser(alice)
    listed = hers.get("/users/").content.decode().split('<main class="page"')[1]
    assert "Bob" not in listed and "bob@" not in listed
    assert hers.get(f"/users/{bob.pk}/").status_code == 404
    page = hers.get("/projects/shop/apps/web/environment/").content.decode()
    assert "by Bob" in page
    # The address is free for a new account, which is nobody's old one.
    new = User.objects.create_user("bob@example.com", name="Bob")
    assert not Membership.objects.filter(user=new).exists()


@pytest.mark.parametrize("heir", ["", "nobody@example.com", "bob@example.com", "gone@example.com"])
def test_only_somebody_active_and_else_takes_over(heir: str, alice: User, bob: User) -> None:
    User.objects.create_user("gone@example.com", name="Gone", is_active=False)
    page = browser(alice).post(f"/users/{bob.pk}/delete/", {"heir": heir})
    assert 'id="id_heir_error"' in page.content.decode()
    bob.refresh_from_db()
    assert bob.is_active


def test_who_is_made_a_member_keeps_the_projects_they_own(alice: User, shop: Project) -> None:
    adam = make("adam", ADMIN)
    Project.objects.update(owner=adam)
    person_update(person=adam, name="Adam", role=MEMBER, by=alice)
    assert Membership.objects.get().role == ProjectRole.ADMIN
    assert browser(adam).get("/projects/shop/").status_code == 200


def test_a_deleted_account_stays_so(alice: User, bob: User) -> None:
    person_delete(person=bob, heir=alice, by=alice)
    with pytest.raises(PersonProblem, match="deleted"):
        person_activate(person=bob, by=None)


def test_the_list_is_found_in_paged_and_quick(
    alice: User, bob: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(60):
        make(f"person-{n:02}")
    hers = browser(alice)
    with django_assert_max_num_queries(8):
        page = hers.get("/users/").content.decode()
    assert "1 to 50 of 62" in page
    found = hers.get("/users/?q=bob").content.decode()
    assert "bob@example.com" in found and "person-01" not in found
    assert "Nothing matches" in hers.get("/users/?q=zebra").content.decode()


def test_the_django_admin_changes_no_person(alice: User, bob: User) -> None:
    hers = browser(alice)
    url = f"/admin/accounts/user/{alice.pk}"
    assert f'href="/users/{alice.pk}/"' in hers.get(f"{url}/change/").content.decode()
    fields = {"email": "alice@example.com", "name": "A", "role": "member", "password": "x"}
    assert hers.post(f"{url}/change/", fields).status_code == 403
    assert hers.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
    assert hers.get("/admin/accounts/user/add/").status_code == 403
    assert hers.post(f"{url}/password/", {}).status_code in (302, 403, 404)
    alice.refresh_from_db()
    assert alice.is_owner
