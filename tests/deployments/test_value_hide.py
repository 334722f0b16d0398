"""Values of an app are in nothing that Mist keeps or shows of what the app writes."""

from __future__ import annotations

import base64
import gzip
import json
import time
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.archive import archive_path, kept_lines, output_of
from apps.deployments.log_writing import BuildLog
from apps.deployments.logs import log_path, plain_text, read_chunk, search
from apps.deployments.masking import masker_of
from apps.deployments.models import Deployment, Status
from apps.deployments.output import stamp_of
from apps.deployments.planning import build_spec, container_spec
from apps.deployments.services import deployment_request
from apps.deployments.tasks import claim_next
from apps.engine.data import Outcome
from apps.engine.errors import BuildFailed, HealthCheckFailed
from apps.engine.fake import FakeEngine
from apps.engine.masking import MASK, Masker
from apps.projects.models import App
from apps.projects.services import app_update, variables_save
from apps.projects.shared_services import shared_variable_save
from tests.deployments.test_deployment_run import deploy

SECRET = "s3cret/Value+of-the~App"
BASE64 = base64.b64encode(f"user:{SECRET}".encode()).decode()
PRINTED = [f"token {SECRET}", f"Authorization: Basic {BASE64}", json.dumps({"t": SECRET}), SECRET[:9], SECRET[9:]]  # fmt: skip
HIDDEN = [f"token {MASK}", "Authorization: Basic ", f'{{"t": "{MASK}"}}', MASK, MASK]


def texts(path: Path) -> list[str]:
    return [line.text for line in read_chunk(path).lines]


def is_clean(text: str) -> bool:
    return not any(piece in text for piece in (SECRET, SECRET[:9], SECRET[9:], BASE64[8:-8]))


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def _quiet(fake: FakeEngine) -> None:
    """No line but those of the test."""
    fake.containers.says = []


@pytest.fixture
def secretive(fake: FakeEngine, web: App) -> App:
    variables_save(app=web, values={"TOKEN": SECRET}, changed_by=None)
    return web


def log_of_lines(path: Path, lines: list[str], values: list[str]) -> list[str]:
    with BuildLog(path, nudge=lambda: None, masker=Masker(values)) as log:
        for line in lines:
            log.write("building", line)
    return texts(path)


def test_no_value_reaches_the_file_of_a_build_log(tmp_path: Path) -> None:
    steps = [f"#7 0.{n} {line}" for n, line in enumerate(PRINTED)]
    shown = log_of_lines(tmp_path / "1.log", steps, [SECRET])
    assert is_clean((tmp_path / "1.log").read_text())
    assert len(shown) == len(steps)
    assert all(wanted in line for wanted, line in zip(HIDDEN, shown, strict=True))
    assert not search(tmp_path / "1.log", SECRET).total


def test_steps_of_a_build_beside_each_other_are_told_apart(tmp_path: Path) -> None:
    lines = [f"#7 0.1 {SECRET[:9]}", "#8 0.1 compiling", f"#7 0.2 {SECRET[9:]}"]
    shown = log_of_lines(tmp_path / "1.log", lines, [SECRET])
    assert shown == [f"#7 0.1 {MASK}", "#8 0.1 compiling", f"#7 0.2 {MASK}"]


def test_the_rest_of_a_very_long_line_goes_on_with_it(tmp_path: Path) -> None:
    lines = [f"#7 0.1 {'x' * 7000}{SECRET[:9]}", f"{SECRET[9:]} done"]
    assert log_of_lines(tmp_path / "1.log", lines, [SECRET])[1] == f"{MASK} done"


def test_a_value_cut_by_the_longest_line_leaves_nothing(tmp_path: Path) -> None:
    [shown] = log_of_lines(tmp_path / "1.log", [f"{'x' * 7990}{SECRET}"], [SECRET])
    assert is_clean(shown) and shown.endswith(MASK)


def test_a_line_that_waits_is_written_after_a_moment(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "1.log", nudge=lambda: None, masker=Masker([SECRET])) as log:
        log.write("building", f"half of it: {SECRET[:13]}")
        assert texts(tmp_path / "1.log") == []
        for _ in range(500):
            if shown := texts(tmp_path / "1.log"):
                break
            time.sleep(0.02)
        assert shown == [f"half of it: {MASK}"]
        log.write("building", SECRET[13:])
    assert texts(tmp_path / "1.log")[1] == MASK


def test_a_log_keeps_the_times_and_the_order_of_its_lines(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "1.log", nudge=lambda: None, masker=Masker([SECRET])) as log:
        log.write("building", SECRET[:6])
        began = time.time()
        log.write("building", "other")
    first, second = read_chunk(tmp_path / "1.log").lines
    assert (first.text, second.text) == (SECRET[:6], "other")
    assert first.at.timestamp() <= began + 0.001 and first.at <= second.at


def test_output_of_a_release_command_and_its_failure_hide_values(
    fake: FakeEngine, secretive: App, inside: Client
) -> None:
    app_update(app=secretive, release_command="migrate")
    fake.containers.command_says = list(PRINTED)
    fake.containers.outcomes = [Outcome(1)]
    failed = deploy(secretive)
    assert failed.status == Status.FAILED
    assert MASK in failed.failure_detail and is_clean(failed.failure_detail)
    log = "".join(plain_text(log_path(failed.pk)))
    assert MASK in log and is_clean(log)
    for page in (f"deployments/{failed.number}/", f"deployments/{failed.number}/log.txt"):
        answer = inside.get(f"/projects/shop/apps/web/{page}", follow=True)
        shown = b"".join(answer) if answer.streaming else answer.content
        assert is_clean(shown.decode()), page


@pytest.mark.parametrize("error", [BuildFailed, HealthCheckFailed])
def test_the_words_of_a_failure_hide_values(
    error: type[BuildFailed], fake: FakeEngine, secretive: App
) -> None:
    words = error(f"It failed: {SECRET}.", hint=f"Try {SECRET}", detail="\n".join(PRINTED))
    fake.containers.fail("build", words)
    failed = deploy(secretive)
    assert failed.failure == f"It failed: {MASK}." and failed.failure_hint == f"Try {MASK}"
    assert is_clean(failed.failure_detail)


def test_output_of_a_container_hides_values_on_its_way(
    fake: FakeEngine, secretive: App, inside: Client
) -> None:
    live = deploy(secretive)
    for number, line in enumerate(PRINTED):
        fake.containers.write(live.container_id, line, stamp=stamp_of(10**9 + number))
    shown = [line.text for line in output_of(live)]
    assert len(shown) == len(PRINTED)
    assert all(wanted in line for wanted, line in zip(HIDDEN, shown, strict=True))
    for page in ("logs/", "logs/text/"):
        answer = inside.get(f"/projects/shop/apps/web/{page}")
        text = (b"".join(answer) if answer.streaming else answer.content).decode()
        assert MASK in text and is_clean(text), page


def test_kept_output_hides_values_on_the_disk(fake: FakeEngine, secretive: App) -> None:
    first = deploy(secretive)
    for number, line in enumerate(PRINTED):
        fake.containers.write(first.container_id, line, stamp=stamp_of(10**9 + number))
    deploy(secretive)
    raw = gzip.decompress(archive_path(first.pk).read_bytes()).decode()
    assert MASK in raw and is_clean(raw)
    assert len(list(kept_lines(first.pk))) == len(PRINTED)


def test_values_of_then_and_of_now_are_both_hidden(fake: FakeEngine, secretive: App) -> None:
    first = deploy(secretive)
    variables_save(app=secretive, values={"TOKEN": "the-value-of-now"}, changed_by=None)
    fake.containers.write(first.container_id, f"{SECRET} became the-value-of-now")
    assert [line.text for line in output_of(first)] == [f"{MASK} became {MASK}"]
    second = deploy(secretive)
    fake.containers.write(second.container_id, "the-value-of-now")
    assert [line.text for line in output_of(second)] == [MASK]


def test_shared_values_and_those_put_together_are_hidden(fake: FakeEngine, web: App) -> None:
    shared_variable_save(
        project=web.project, name="PW", value="aB3dEfG", is_locked=False, changed_by=None
    )
    value = "db://u:${{ project.PW }}@h/x"
    variables_save(app=web, values={"URL": value}, changed_by=None)
    live = deploy(web)
    encoded = base64.b64encode(b"db://u:aB3dEfG@h/x").decode()
    fake.containers.write(live.container_id, f"pw aB3dEfG, {encoded}.")
    assert [line.text for line in output_of(live)] == [f"pw {MASK}, {MASK}."]


def test_what_a_rollback_runs_with_is_hidden(fake: FakeEngine, secretive: App) -> None:
    """Values of then are those of the deployment that it goes back to."""
    live = deploy(secretive)
    variables_save(app=secretive, values={}, changed_by=None, remove_others=True)
    assert masker_of(Deployment.objects.get(pk=live.pk)).text(SECRET) == MASK


def test_specs_show_no_values_in_their_repr(fake: FakeEngine, secretive: App) -> None:
    variables_save(app=secretive, values={"AT_BUILD": SECRET}, changed_by=None, at_build=True)
    deployment = deploy(secretive)
    variables = list(secretive.variables.all())
    spec = container_spec(deployment, port=1, variables=variables)
    built = build_spec(deployment, context=Path("/c"), dockerfile=Path("/d"), variables=variables)
    assert SECRET in spec.env.values() and SECRET in built.args.values()
    shown = repr(spec) + repr(built) + repr(variables) + repr(deployment) + str(spec) + f"{built}"
    assert SECRET not in shown


def test_labels_and_names_in_the_engine_hold_no_values(fake: FakeEngine, secretive: App) -> None:
    """`docker inspect` and `docker ps` show labels to whoever may ask the engine."""
    deploy(secretive)
    specs = list(fake.containers.specs.values())
    assert specs and all(SECRET in spec.env.values() for spec in specs)
    told = [(s.name, s.image, s.network, dict(s.labels), s.argv, s.command) for s in specs]
    assert SECRET not in repr(told) + repr(fake.containers.image_labels) + repr(fake.calls)


def test_nothing_of_a_deployment_is_in_mists_own_log(
    fake: FakeEngine, secretive: App, caplog: pytest.LogCaptureFixture
) -> None:
    fake.containers.fail("build", BuildFailed("It failed.", detail=SECRET))
    deploy(secretive)
    fake.containers.fail("start", RuntimeError("inside"))
    deploy(secretive)
    assert "failed inside Mist" in caplog.text and SECRET not in caplog.text


def test_a_deployment_whose_secrets_cannot_be_read_says_so(
    fake: FakeEngine, secretive: App, settings: Settings
) -> None:
    deployment_request(app=secretive, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    settings.MIST_ENCRYPTION_KEYS = ["another key"]
    pipeline.run(claimed)
    row = Deployment.objects.defer("variables").get(pk=claimed.pk)
    assert row.status == Status.FAILED
    assert row.failure.startswith("A secret cannot be read")
    assert "encryption.key" in row.failure_hint
