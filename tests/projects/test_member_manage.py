"""Who belongs to a project: taking in, roles, taking out, leaving, handing on."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from apps.accounts.invitation_services import invitation_create
from apps.accounts.models import InstanceRole, Invitation, User
from apps.audit.models import AuditEvent
from apps.projects.member_services import MemberProblem, member_put, project_transfer
from apps.projects.models import Membership, Project, ProjectRole
from apps.projects.services import project_create

VIEWER, DEVELOPER, ADMIN = ProjectRole
M = "/projects/shop/members/"


def make(name: str, role: InstanceRole = InstanceRole.MEMBER) -> User:
    return User.objects.create_user(f"{name}@example.com", name=name.title(), role=role)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def put(project: Project, user: User, role: ProjectRole) -> Membership:
    return member_put(project=project, user=user, role=role, created_by=None)


@pytest.fixture
def meg(shop: Project) -> User:
    """Manages the project and nothing else."""
    meg = make("meg")
    put(shop, meg, ADMIN)
    return meg


@pytest.fixture
def bob(shop: Project) -> User:
    bob = make("bob")
    put(shop, bob, VIEWER)
    return bob


def role_of(user: User) -> str | None:
    return Membership.objects.filter(user=user).values_list("role", flat=True).first()


def test_an_admin_of_the_instance_adds_who_has_an_account_at_once(alice: User, meg: User) -> None:
    dora = make("dora")
    browser(alice).post(M, {"email": "Dora@example.com", "role": "developer"})
    assert role_of(dora) == DEVELOPER and not Invitation.objects.exists()
    assert browser(dora).get("/projects/shop/").status_code == 200


def test_an_admin_of_a_project_learns_of_no_account(meg: User) -> None:
    """Whether or not the address has an account: the same answer, and an invitation."""
    dora, hers = make("dora"), browser(meg)
    User.objects.create_user("gone@example.com", name="Gone", is_active=False)
    answers = []
    for name in ("dora", "alice", "gone", "nobody"):
        page = hers.post(M, {"email": f"{name}@example.com", "role": "viewer"}).content.decode()
        page = page.split('<main class="page"')[1].split('id="members-h"')[0]
        assert f"{name}@example.com is invited" in page
        page = re.sub(r"/join/[\w-]{43}/", "/join/…/", page).replace(name, "…")
        answers.append(re.sub(r"\d\d:\d\d|csrf.*?>", "", page))
    assert len(set(answers)) == 1
    assert role_of(dora) is None and Invitation.objects.count() == 4
    listed = hers.get(M).content.decode()
    assert "Dora" not in listed and "Alice Archer" not in listed.split('id="members-h"')[1]


def test_an_invitation_of_a_project_gives_nothing_of_the_instance(meg: User) -> None:
    browser(meg).post(M, {"email": "dora@example.com", "role": "admin", "project_role": "owner"})
    found = Invitation.objects.get()
    assert (found.role, found.project_role, found.created_by) == ("member", "admin", meg)


def test_links_are_never_shown_to_others(meg: User, bob: User, alice: User) -> None:
    page = browser(meg).post(M, {"email": "dora@example.com", "role": "viewer"}).content.decode()
    [token] = set(re.findall(r"/join/([\w-]{43})/", page))
    for user in (meg, bob, alice):
        text = browser(user).get(M).content.decode()
        assert token not in text
        assert ("dora@example.com" in text) == (user != bob)


def test_a_role_is_changed_and_audited(meg: User, bob: User) -> None:
    member = Membership.objects.get(user=bob)
    answer = browser(meg).post(f"{M}{member.pk}/role/", {"role": "developer"})
    assert answer.status_code == 302 and role_of(bob) == DEVELOPER
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.actor_id, event.thing_name) == (
        "member.change", meg.pk, "bob@example.com",
    )  # fmt: skip
    assert (event.before, event.after) == ({"role": "viewer"}, {"role": "developer"})
    assert event.project_name == "shop"
    browser(meg).post(f"{M}{member.pk}/role/", {"role": "owner"})
    assert role_of(bob) == DEVELOPER


def test_a_member_is_taken_out(meg: User, bob: User) -> None:
    member = Membership.objects.get(user=bob)
    his = browser(bob)
    assert his.get("/projects/shop/").status_code == 200
    browser(meg).post(f"{M}{member.pk}/remove/")
    assert role_of(bob) is None
    assert his.get("/projects/shop/").status_code == 404


def test_one_leaves_a_project_oneself(bob: User, alice: User) -> None:
    his = browser(bob)
    assert "Leave shop?" in his.get("/projects/shop/leave/").content.decode()
    assert his.post("/projects/shop/leave/")["Location"] == "/"
    assert role_of(bob) is None and AuditEvent.objects.latest("id").action == "member.leave"
    assert his.get(M).status_code == 404
    assert browser(alice).post("/projects/shop/leave/", follow=True).status_code == 200


def test_members_of_other_projects_are_out_of_reach(meg: User, bob: User, alice: User) -> None:
    other = project_create(slug="other", created_by=alice)
    dora = make("dora")
    theirs = put(other, dora, VIEWER)
    invited = invitation_create(
        email="eve@example.com",
        role=InstanceRole.MEMBER,
        by=alice,
        project=other,
        project_role=VIEWER,
    ).invitation
    whole = invitation_create(email="eve@example.com", role=InstanceRole.ADMIN, by=alice).invitation
    dev, stranger = make("dev"), make("stranger")
    put(Project.objects.get(slug="shop"), dev, DEVELOPER)
    for user in (stranger, bob, dev, meg):
        client = browser(user)
        for project in ("shop", "other"):
            at = f"/projects/{project}/members/"
            paths = [f"{at}{theirs.pk}/role/", f"{at}{theirs.pk}/remove/"]
            paths += [f"{at}invitations/{one.pk}/revoke/" for one in (invited, whole)]
            for path in paths:
                assert client.post(path, {"role": "admin"}).status_code in (403, 404), path
        # What one is no member of is not told apart from what is not there.
        assert client.get("/projects/other/members/").status_code == 404
    assert role_of(dora) == VIEWER
    assert Invitation.objects.filter(revoked_at=None).count() == 2


def test_a_viewer_sees_members_and_no_addresses(bob: User, meg: User) -> None:
    page = browser(bob).get(M).content.decode()
    assert "Meg" in page and "meg@example.com" not in page
    assert "<select" not in page.split('id="members-h"')[1] and "Add a member" not in page


def test_the_owner_stays_until_there_is_another(meg: User, bob: User, shop: Project) -> None:
    Project.objects.update(owner=meg)
    hers, mine = browser(meg), Membership.objects.get(user=meg)
    ned = make("ned")
    put(shop, ned, ADMIN)
    other = browser(ned)
    for client, path in (
        (hers, "/projects/shop/leave/"),
        (other, f"{M}{mine.pk}/remove/"),
        (other, f"{M}{mine.pk}/role/"),
    ):
        page = client.post(path, {"role": "viewer"}, follow=True).content.decode()
        assert "Transfer the project first." in page, path
    # Another admin of the project does not take it either.
    other.post("/projects/shop/transfer/", {"email": "ned@example.com"})
    shop.refresh_from_db()
    assert role_of(meg) == ADMIN and shop.owner == meg
    hers.post("/projects/shop/transfer/", {"email": "NED@example.com"})
    shop.refresh_from_db()
    assert shop.owner == ned
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.thing_name, event.actor_id) == ("project.transfer", "shop", meg.pk)
    assert event.before == {"owner": "meg@example.com"}
    assert event.after == {"owner": "ned@example.com"}
    assert hers.post("/projects/shop/leave/")["Location"] == "/"


@pytest.mark.parametrize("name", ["bob", "dora", "nobody"])
def test_only_an_admin_of_the_project_can_own_it(
    name: str, meg: User, bob: User, shop: Project
) -> None:
    Project.objects.update(owner=meg)
    make("dora")
    page = browser(meg).post("/projects/shop/transfer/", {"email": f"{name}@example.com"})
    assert 'id="transfer_email_error"' in page.content.decode()
    if name != "bob":
        # Of who is no member nothing is said, be there such an account or not.
        assert f"{name}@example.com is no admin of shop." in page.content.decode()
    shop.refresh_from_db()
    assert shop.owner == meg
    with pytest.raises(MemberProblem):
        project_transfer(project=shop, to=bob)


def test_a_project_is_owned_by_who_makes_it(alice: User) -> None:
    browser(alice).post("/new-project/", {"slug": "fresh"})
    assert Project.objects.get(slug="fresh").owner == alice
