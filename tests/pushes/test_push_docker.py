"""`git push` to Mist itself: a real git, a real Mist, a real engine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest

from tests.machine.live import live_mist
from tests.machine.world import wait_until
from tests.pushes.pushed import BROKEN, STATIC, Clone, Pushes

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def pushes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushes]:
    root = tmp_path_factory.mktemp("pushes")
    with live_mist(root / "data") as mist:
        mist.run("up", "--detach")
        mist.run("createadmin", "alice@example.com", stdin="correct-horse-battery\n")
        mist.run("project_create", "shop")
        yield Pushes(mist, root / "people")


@pytest.fixture(scope="module")
def token(pushes: Pushes) -> str:
    return pushes.token()


def test_a_push_of_a_new_app_goes_live(pushes: Pushes, token: str) -> None:
    pushes.app("web")
    code = pushes.clone("web")
    said = code.git("push", pushes.url("web", token), "main")
    assert said.status == 0, said.text
    assert any(line.startswith("Live: http://web-shop.localhost") for line in said.remote)
    assert any("FROM" in line for line in said.remote), "the build's own lines"
    assert pushes.mist.visit("web-shop.localhost", "/index.html")[1] == "hello\n"
    assert "up-to-date" in code.git("push", pushes.url("web", token), "main").text


def test_a_failing_build_is_refused_and_the_old_version_serves_on(
    pushes: Pushes, token: str
) -> None:
    pushes.app("shaky")
    code, url = pushes.clone("shaky"), pushes.url("shaky", token)
    assert code.git("push", url, "main").status == 0
    code.commit(BROKEN, "Break it")
    for _ in range(2):  # The branch has not moved, so the same push tries again.
        said = code.git("push", url, "main")
        assert said.status == 1
        assert "the compiler says no" in said.text
        assert "! [remote rejected] main -> main (the deployment failed)" in said.text
        assert "What was live before serves on." in said.remote
    assert pushes.mist.visit("shaky-shop.localhost", "/index.html")[1] == "hello\n"
    code.commit(STATIC | {"index.html": "mended\n"}, "Mend it")
    assert code.git("push", url, "main").status == 0
    assert pushes.mist.visit("shaky-shop.localhost", "/index.html")[1] == "mended\n"


def test_who_may_push(pushes: Pushes, token: str) -> None:
    pushes.app("guarded")
    code = pushes.clone("guarded")
    viewer = pushes.token("vera@example.com", role="viewer")
    reader = pushes.token("rick@example.com", role="developer", scopes=("read",))
    stranger = pushes.token("charlie@example.com")
    refusals = [
        ("mist_" + "x" * 43, "Authentication failed"),
        (pushes.token(seconds=-5), "Authentication failed"),
        (viewer, "This needs the role developer in this project."),
        (reader, "This needs a token with the scope deploy."),
        (stranger, "There is no such app, or this token may not see it."),
    ]
    for secret, words in refusals:
        said = code.git("push", pushes.url("guarded", secret), "main")
        assert said.status != 0 and words in said.text, said.text
        assert secret not in said.text.replace(f":{secret}@", "")
    code.environment["GIT_TERMINAL_PROMPT"] = "0"
    said = code.git("push", pushes.url("guarded"), "main")
    assert said.status != 0 and "terminal prompts disabled" in said.text
    assert code.git("ls-remote", pushes.url("guarded", viewer)).status == 0
    assert code.git("ls-remote", pushes.url("guarded", stranger)).status != 0
    assert code.git("push", pushes.url("nothing", token), "main").status != 0


def test_other_branches_are_kept_and_not_deployed(pushes: Pushes, token: str) -> None:
    pushes.app("branchy")
    code, url = pushes.clone("branchy"), pushes.url("branchy", token)
    said = code.git("push", url, "main:next")
    assert said.status == 0
    assert "next is kept and not deployed: shop/branchy deploys main." in said.remote
    assert pushes.mist.result("deploy", "shop/branchy", "--wait").returncode == 1
    assert code.git("push", url, "main", "main:refs/tags/v1").status == 0
    refused = code.git("push", url, ":main")
    assert refused.status == 1 and "cannot be deleted" in refused.text
    assert code.git("push", url, ":next").status == 0
    hidden = code.git("push", url, "main:refs/mist/pushed/x")
    assert hidden.status == 1 and "only branches and tags" in hidden.text
    listed = code.git("ls-remote", url).text
    assert "refs/heads/main" in listed and "refs/tags/v1" in listed and "refs/mist" not in listed


def test_what_is_live_can_be_cloned(pushes: Pushes, token: str) -> None:
    pushes.app("back")
    code, url = pushes.clone("back"), pushes.url("back", token)
    head = code.commit({"index.html": "second\n"}, "Second version")
    assert code.git("push", url, "main").status == 0
    other = Clone(pushes.root)
    assert other.git("clone", "--quiet", url, "back-again").status == 0
    again = Clone(pushes.root / "back-again")
    assert again.git("log", "--format=%H %s").text.splitlines()[0] == f"{head} Second version"
    assert other.git("clone", "--quiet", "--depth=1", url, "shallow").status == 0
    # Somebody who has not seen a commit cannot undo it without meaning to.
    code.commit({"index.html": "third\n"}, "Third version")
    assert code.git("push", url, "main").status == 0
    again.commit({"other.html": "x\n"}, "Beside it")
    assert again.git("push", "origin", "main").status == 1
    assert again.git("push", "--force", "origin", "main").status == 0


def test_ctrl_c_leaves_the_deployment_running(pushes: Pushes, token: str) -> None:
    pushes.app("patient")
    slow = STATIC | {"Dockerfile": STATIC["Dockerfile"].replace("EXPOSE", "RUN sleep 4\nEXPOSE")}
    code = pushes.clone("patient", slow)
    push = code.start("push", pushes.url("patient", token), "main")
    assert push.stdout is not None
    for line in push.stdout:
        if "sleep 4" in line:
            break
    os.killpg(push.pid, signal.SIGINT)
    push.stdout.close()
    assert push.wait(120) != 0
    # Whoever pushes again meanwhile follows the same deployment.
    said = code.git("push", pushes.url("patient", token), "main")
    assert said.status == 0, said.text
    assert "Deployment #1 of shop/patient" in said.text or "up-to-date" in said.text
    assert pushes.mist.visit("patient-shop.localhost", "/index.html")[1] == "hello\n"


def test_ten_pushes_at_once_are_safe(pushes: Pushes, token: str) -> None:
    pushes.app("crowd")
    url = pushes.url("crowd", token)
    people = [pushes.clone(f"crowd-{n}") for n in range(10)]
    heads = [one.commit({"index.html": f"{n}\n"}, f"By {n}") for n, one in enumerate(people)]
    started = [one.start("push", url, "main") for one in people]
    said = [push.communicate(timeout=900)[0] for push in started]
    ended = [push.returncode for push in started]
    assert 0 in ended, said
    for status, text in zip(ended, said, strict=True):
        late = "a newer deployment took its place" in text or "fetch first" in text
        assert status == 0 or late, text
    tip = people[0].git("ls-remote", url, "refs/heads/main").text.split()[0]
    assert ended[heads.index(tip)] == 0
    shown = pushes.mist.visit("crowd-shop.localhost", "/index.html")[1]
    assert shown == f"{heads.index(tip)}\n"
    assert people[0].git("clone", "--quiet", url, "all").status == 0


def test_a_large_history_passes_through_without_filling_memory(pushes: Pushes, token: str) -> None:
    pushes.app("large")
    code = pushes.clone("large")
    (code.path / ".dockerignore").write_text("blobs\n")
    (code.path / "blobs").mkdir()
    for part in range(30):
        (code.path / "blobs" / str(part)).write_bytes(os.urandom(10 * 1024 * 1024))
        code.commit({}, f"Part {part}")
    assert pushes.mist.pid is not None
    process = psutil.Process(pushes.mist.pid)
    before = process.memory_info().rss
    most = [before]
    over = threading.Event()

    def measure() -> None:
        while not over.wait(0.05):
            most.append(process.memory_info().rss)

    watcher = threading.Thread(target=measure)
    watcher.start()
    try:
        said = code.git("push", pushes.url("large", token), "main")
        cloned = Clone(pushes.root).git(
            "clone", "--quiet", pushes.url("large", token), "large-again"
        )
    finally:
        over.set()
        watcher.join()
    assert said.status == 0, said.text
    assert cloned.status == 0, cloned.text
    grown = (max(most) - before) / 1024 / 1024
    print(f"{before / 1024 / 1024:.0f} MB, {grown:.0f} MB more at the most")
    assert grown < 150


def test_a_kill_in_the_middle_of_a_push_leaves_a_repository_that_works(
    pushes: Pushes, token: str
) -> None:
    pushes.app("killed")
    code, url = pushes.clone("killed"), pushes.url("killed", token)
    assert code.git("push", url, "main").status == 0
    (code.path / ".dockerignore").write_text("blob\n")
    (code.path / "blob").write_bytes(os.urandom(120 * 1024 * 1024))
    head = code.commit({}, "Large")
    push = code.start("push", url, "main")
    repository = next((pushes.mist.data_dir / "git").glob("*.git")).parent

    def arrives() -> bool:
        return any(repository.glob("*.git/objects/tmp_objdir*")) or push.poll() is not None

    wait_until(arrives, "git taking the pack", 180)
    pushes.mist.kill()
    assert push.wait(120) != 0
    pushes.mist.run("up", "--detach")
    said = code.git("push", url, "main")
    assert said.status == 0, said.text
    assert code.git("ls-remote", url, "refs/heads/main").text.startswith(head)
    assert not any(repository.glob("*.git/objects/tmp_objdir*"))
