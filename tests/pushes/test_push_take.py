"""What becomes of a push: kept, refused, deployed. A real git, no web server, no engine."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import User
from apps.api.models import ApiToken
from apps.audit.models import ActorKind, AuditEvent
from apps.audit.trail import Actor
from apps.deployments import pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.reconciliation import apply_wishes
from apps.deployments.services import app_delete, deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.deadline import Deadline
from apps.engine.errors import BranchNotFound, BuildFailed
from apps.engine.fake import FakeEngine
from apps.engine.kept import Kept, kept
from apps.engine.kept_push import HEADROOM, body_file
from apps.engine.pkt_line import read_push
from apps.projects.models import App, ProjectRole
from apps.projects.selectors import kept_path
from apps.sources.git_gate import RECEIVE, Entry
from apps.sources.push_watch import Watch
from apps.sources.pushing import Taken, push_take, too_large
from tests.engine.git_host import Origin
from tests.pushes.conftest import push_request

MAIN = "refs/heads/main"
Person = Callable[..., str]


@contextmanager
def repository(app: App) -> Iterator[Kept]:
    with kept(kept_path(app), branch=app.branch, deadline=Deadline()) as found:
        yield found


class Pusher:
    """Somebody with a token and a clone."""

    def __init__(self, app: App, code: Origin, name: str) -> None:
        self.app, self.code = app, code
        token = ApiToken.objects.select_related("user").get(user__name=name)
        actor = Actor(ActorKind.TOKEN, token.user_id, name, via=str(token))
        self.entry = Entry(app, token, actor, RECEIVE, False)

    def push(self, *updates: tuple[str, str, str]) -> Taken:
        with body_file(kept_path(self.app).parent) as body:
            body.write(push_request(self.code, *updates))
            body.seek(HEADROOM)
            push = read_push(body)
            return push_take(entry=self.entry, push=push, body=body, deadline=Deadline(60))


@pytest.fixture
def dora(fake: FakeEngine, pushed: App, code: Origin, person: Person) -> Pusher:
    person("dora", ProjectRole.DEVELOPER, "deploy")
    return Pusher(pushed, code, "dora")


def run_next() -> Deployment:
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def head(code: Origin) -> str:
    return code.git("rev-parse", "HEAD")


def test_a_push_queues_the_very_commit_in_the_name_of_the_token(dora: Pusher) -> None:
    taken = dora.push(("", head(dora.code), MAIN))
    one = taken.deployment
    assert one is not None and taken.ref == MAIN and taken.report.unpack == "ok"
    assert (one.commit, one.ref, one.trigger) == (head(dora.code), "main", "push")
    assert one.requested_by is not None and one.requested_by.name == "dora"
    event = AuditEvent.objects.get(action="deployment.request")
    assert (event.actor_kind, event.actor_name) == (ActorKind.TOKEN, "dora")
    assert event.after["trigger"] == "push" and "laptop" in event.via


def test_the_branch_moves_when_the_commit_is_live_and_not_before(dora: Pusher) -> None:
    dora.push(("", head(dora.code), MAIN))
    with repository(dora.app) as found:
        assert found.resolve(MAIN) == "" and found.tip("main") == head(dora.code)
    done = run_next()
    assert done.status == Status.LIVE and done.commit_message == "First version"
    with repository(dora.app) as found:
        assert found.resolve(MAIN) == head(dora.code)


def test_what_fails_can_be_pushed_again_and_deployed_by_hand(
    dora: Pusher, fake: FakeEngine
) -> None:
    fake.containers.fail("build", BuildFailed("Step 2 failed."))
    first = dora.push(("", head(dora.code), MAIN)).deployment
    assert run_next().status == Status.FAILED
    second = dora.push(("", head(dora.code), MAIN)).deployment
    assert first is not None and second is not None and first.pk != second.pk
    fake.containers.fail("build", BuildFailed("Step 2 failed."))
    assert run_next().status == Status.FAILED
    deployment_request(app=dora.app, requested_by=None)
    assert run_next().status == Status.LIVE
    with repository(dora.app) as found:
        assert found.resolve(MAIN) == head(dora.code)


def test_an_old_commit_that_is_deployed_again_does_not_move_the_branch(dora: Pusher) -> None:
    old = head(dora.code)
    dora.push(("", old, MAIN))
    run_next()
    new = dora.code.commit({"a": "b"})
    dora.push((old, new, MAIN))
    run_next()
    deployment_request(app=dora.app, requested_by=None, ref="main", commit=old)
    assert run_next().commit == old
    with repository(dora.app) as found:
        assert found.resolve(MAIN) == new


def test_the_same_commit_twice_is_one_deployment(dora: Pusher) -> None:
    first = dora.push(("", head(dora.code), MAIN)).deployment
    again = dora.push(("", head(dora.code), MAIN)).deployment
    assert first == again and Deployment.objects.count() == 1


def test_a_commit_that_went_live_meanwhile_is_not_deployed_again(dora: Pusher) -> None:
    dora.push(("", head(dora.code), MAIN))
    run_next()
    late = dora.push(("", head(dora.code), MAIN))
    assert late.report.refs == {MAIN: ""} and late.words == ["main is there already."]
    assert late.deployment is None and Deployment.objects.count() == 1


def test_other_branches_and_tags_are_kept(dora: Pusher) -> None:
    taken = dora.push(
        ("", head(dora.code), "refs/heads/next"), ("", head(dora.code), "refs/tags/v1")
    )
    assert taken.deployment is None and set(taken.report.refs.values()) == {""}
    assert any("next is kept and not deployed" in line for line in taken.words)
    with repository(dora.app) as found:
        assert found.find("next").sha == found.find("v1").sha == head(dora.code)
        with pytest.raises(BranchNotFound, match="There is no main"):
            found.find("main")
    assert dora.push((head(dora.code), "", "refs/heads/next")).report.refs == {
        "refs/heads/next": ""
    }


def test_what_was_never_pushed_says_so(dora: Pusher) -> None:
    deployment_request(app=dora.app, requested_by=None)
    failed = run_next()
    assert failed.failure == "Nothing has been pushed to this app yet."
    assert "tab Source" in failed.failure_hint


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("refs/mist/tip/main", "only branches and tags"),
        ("refs/remotes/x", "only branches and tags"),
        ("HEAD", "only branches and tags"),
        ("refs/heads/..", ""),
        ("refs/heads/a b", ""),
    ],
)
def test_other_names_are_refused(dora: Pusher, ref: str, why: str) -> None:
    taken = dora.push(("", head(dora.code), ref))
    assert taken.report.refs[ref] != "" and why in taken.report.refs[ref]
    assert taken.deployment is None


def test_the_apps_branch_is_never_deleted(dora: Pusher) -> None:
    dora.push(("", head(dora.code), MAIN))
    run_next()
    taken = dora.push((head(dora.code), "", MAIN))
    assert "cannot be deleted" in taken.report.refs[MAIN]


def test_whoever_has_not_seen_the_newest_fetches_first(dora: Pusher) -> None:
    old = head(dora.code)
    dora.push(("", old, MAIN))
    run_next()
    new = dora.code.commit({"a": "b"})
    assert "fetch first" in dora.push(("", new, MAIN)).report.refs[MAIN]
    assert dora.push((old, new, MAIN)).report.refs[MAIN] == ""


def test_a_push_at_work_is_not_lost_to_somebody_elses(
    dora: Pusher, person: Person, code: Origin
) -> None:
    person("emil", ProjectRole.DEVELOPER, "deploy")
    emil = Pusher(dora.app, code, "emil")
    base = head(code)
    first = code.commit({"a": "1"}, "By dora")
    dora.push(("", first, MAIN))
    code.git("reset", "--quiet", "--hard", base)
    second = code.commit({"a": "2"}, "By emil")
    refused = emil.push(("", second, MAIN))
    assert refused.report.refs[MAIN] == "another push is being deployed"
    assert any("by dora" in line for line in refused.words) and refused.deployment is None
    with repository(dora.app) as found:
        assert found.tip("main") == first
    corrected = dora.push(("", second, MAIN))
    assert corrected.deployment is not None, "one's own may be corrected"


def test_an_app_deployed_by_hand_takes_the_push_at_once(dora: Pusher) -> None:
    App.objects.update(auto_deploy=False)
    dora.app.refresh_from_db()
    taken = dora.push(("", head(dora.code), MAIN))
    assert taken.deployment is None and taken.report.refs == {MAIN: ""}
    assert any("by hand" in line for line in taken.words)
    with repository(dora.app) as found:
        assert found.resolve(MAIN) == head(dora.code)


def test_objects_that_are_not_sound_are_refused(dora: Pusher, tmp_path: Path) -> None:
    blob = dora.code.git("hash-object", "-w", "Dockerfile")
    broken = dora.code.path.parent / "tree"
    broken.write_bytes(b"100644 .git\0" + bytes.fromhex(blob))
    tree = dora.code.git("hash-object", "-w", "-t", "tree", "--literally", str(broken))
    bad = dora.code.git("commit-tree", tree, "-m", "A tree with a .git in it")
    taken = dora.push(("", bad, MAIN))
    assert taken.report.refs[MAIN] != "" and taken.deployment is None
    assert any(".git" in line or "hasDotgit" in line for line in taken.words), taken.words
    assert str(kept_path(dora.app).parent.parent) not in "".join(taken.words)


def test_a_pack_over_the_limit_is_refused(dora: Pusher, settings: Any) -> None:
    settings.MIST_PUSH_LIMIT_MB = 1
    dora.code.commit({"chance": os.urandom(2 * 1024 * 1024)})
    taken = dora.push(("", head(dora.code), MAIN))
    assert taken.deployment is None and taken.report.refs[MAIN] != ""
    push = read_push(io.BytesIO(push_request(dora.code, ("", head(dora.code), MAIN))))
    assert "1 MB at most" in too_large(push).words[0]


def test_the_watch_tells_the_log_and_how_it_ended(dora: Pusher, fake: FakeEngine) -> None:
    one = dora.push(("", head(dora.code), MAIN)).deployment
    assert one is not None
    watch = Watch(one)
    assert "Deployment #1 of shop/pushed" in watch.begin()[0]
    assert watch.step() == [] and not watch.over
    run_next()
    lines = watch.step()
    assert watch.over and any(line.startswith("-> Building Dockerfile") for line in lines)
    last, why = watch.end()
    assert why == "" and last[0].startswith("Live: http://")
    fake.containers.fail("build", BuildFailed("Step 2 failed.", hint="Look at it."))
    broken = dora.code.commit({"a": "b"})
    two = dora.push((one.commit, broken, MAIN)).deployment
    assert two is not None
    run_next()
    watch = Watch(two)
    assert any("Step 2 failed." in line for line in watch.step())
    last, why = watch.end()
    assert why == "the deployment failed"
    assert last[:2] == ["Look at it.", "What was live before serves on."]


def test_with_the_app_its_repository_goes(dora: Pusher, alice: User) -> None:
    dora.push(("", head(dora.code), MAIN))
    run_next()
    assert kept_path(dora.app).is_dir()
    app_delete(app=dora.app)
    apply_wishes()
    assert not kept_path(dora.app).exists()
