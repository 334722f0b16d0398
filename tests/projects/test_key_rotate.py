"""Secrets get other keys while Mist runs, and what is missing is said in words."""

from __future__ import annotations

import io
import multiprocessing
import stat
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.factors import code_check
from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments import changes
from apps.deployments.models import Deployment
from apps.engine.errors import SecretsUnreadable
from apps.engine.keys import KeyRing, fernet_of, new_key, read_keys, write_keys
from apps.projects import keys
from apps.projects.fields import decrypt, encrypt
from apps.projects.models import App, EnvironmentVariable
from apps.projects.services import variables_save
from mist_project.env import encryption_keys
from tests.accounts.factors import code_of, with_app

SECRET = "value-that-nobody-may-see"


@pytest.fixture
def key_file(tmp_path: Path, settings: Settings, data_dir: Path) -> Path:
    """A key file of this test's own, with one key."""
    settings.MIST_KEY_FILE = tmp_path / "encryption.key"
    settings.MIST_ENCRYPTION_KEYS = []
    write_keys(settings.MIST_KEY_FILE, [new_key()])
    return tmp_path / "encryption.key"


@pytest.fixture
def filled(key_file: Path, web: App, monkeypatch: pytest.MonkeyPatch) -> App:
    """More rows than one batch has, in two tables."""
    monkeypatch.setattr(keys, "BATCH", 7)
    variables_save(app=web, values={f"K{n}": f"{SECRET}-{n}" for n in range(20)}, changed_by=None)
    packed = changes.pack_variables(web.variables.all())
    for number in range(1, 10):
        Deployment.objects.create(app=web, number=number, ref="main", variables=packed)
    return web


def stored() -> list[str]:
    """What the database holds, of both tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM projects_environmentvariable")
        found = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT variables FROM deployments_deployment")
        return found + [row[0] for row in cursor.fetchall()]


def all_of(key: str) -> bool:
    for token in stored():
        fernet_of(key).decrypt(token)
    return True


def read_all(app: App) -> bool:
    values = {v.name: v.value for v in EnvironmentVariable.objects.filter(app=app)}
    return values == {f"K{n}": f"{SECRET}-{n}" for n in range(20)}


def test_a_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    assert encryption_keys(tmp_path) == []
    path = tmp_path / "encryption.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    assert len(read_keys(path)) == 1
    encryption_keys(tmp_path)
    assert path.read_text() == first


def test_what_the_secret_key_encrypted_is_still_read(tmp_path: Path) -> None:
    """An installation from before there was a key file."""
    (tmp_path / "secret.key").write_text("the-old-secret-key\n")
    token = fernet_of("the-old-secret-key").encrypt(SECRET.encode()).decode()
    encryption_keys(tmp_path)
    ring = KeyRing(tmp_path / "encryption.key")
    assert ring.decrypt(token) == SECRET
    assert ring.keys()[0] != "the-old-secret-key" and ring.keys()[-1] == "the-old-secret-key"
    fernet_of(ring.keys()[0]).decrypt(ring.encrypt(SECRET))


def test_keys_of_ones_own_take_the_place_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIST_ENCRYPTION_KEYS", "one,two")
    assert encryption_keys(tmp_path) == ["one", "two"]
    assert not (tmp_path / "encryption.key").exists()
    ring = KeyRing(tmp_path / "encryption.key", ["one", "two"])
    fernet_of("one").decrypt(ring.encrypt(SECRET))
    assert ring.decrypt(fernet_of("two").encrypt(SECRET.encode()).decode()) == SECRET


def test_rotating_gives_every_secret_of_every_model_the_new_key(
    filled: App, key_file: Path
) -> None:
    [old] = read_keys(key_file)
    done = keys.key_rotate(drop_old=False)
    new, *rest = read_keys(key_file)
    assert rest == [old] and new != old
    assert done.values == 29 and all_of(new) and read_all(filled)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    event = AuditEvent.objects.get(action="encryption_key.rotate")
    assert event.after == {"values": 29, "keys_dropped": 0}


def test_old_keys_are_dropped_only_when_nothing_needs_them(filled: App, key_file: Path) -> None:
    keys.key_rotate(drop_old=True, settle=0.0)
    [new] = read_keys(key_file)
    assert all_of(new) and read_all(filled)
    # One that none of the keys reads, as from another database: nothing is dropped.
    EnvironmentVariable.objects.filter(name="K1").update(value="x")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE projects_environmentvariable SET value = %s WHERE name = 'K1'",
            [fernet_of("foreign").encrypt(b"x").decode()],
        )
    with pytest.raises(SecretsUnreadable):
        keys.key_rotate(drop_old=True, settle=0.0)
    assert new in read_keys(key_file)


def test_a_rotation_that_was_cut_off_can_be_run_again(
    filled: App, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every point: after so many rows the process is gone."""
    replace = keys.Column.replace
    left = 0

    def dies(self: keys.Column, pk: int, old: str, new: str) -> int:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return replace(self, pk, old, new)

    monkeypatch.setattr(keys.Column, "replace", dies)
    for rows in (0, 1, 8, 21, 28):
        left = rows
        with pytest.raises(KeyboardInterrupt):
            keys.key_rotate(drop_old=True, settle=0.0)
        assert read_all(filled)
    monkeypatch.undo()
    keys.key_rotate(drop_old=True, settle=0.0)
    [new] = read_keys(key_file)
    assert all_of(new) and read_all(filled)


def test_what_somebody_saves_meanwhile_stays(filled: App, key_file: Path) -> None:
    column = next(c for c in keys.secret_columns() if c.model is EnvironmentVariable)
    pk, token = next(column.tokens())[0]
    EnvironmentVariable.objects.filter(pk=pk).update(value="newer")
    assert column.replace(pk, token, encrypt("older")) == 0
    assert EnvironmentVariable.objects.get(pk=pk).value == "newer"


def test_another_key_file_is_taken_up_at_once(key_file: Path) -> None:
    """As a running Mist does when the command in another process rotates."""
    token = encrypt(SECRET)
    writer = multiprocessing.get_context("spawn").Process(
        target=write_keys, args=(key_file, ["brand-new", *read_keys(key_file)])
    )
    writer.start()
    writer.join(30)
    assert writer.exitcode == 0
    fernet_of("brand-new").decrypt(encrypt(SECRET))
    assert decrypt(token) == SECRET


def test_readers_and_writers_never_notice_a_rotation(key_file: Path) -> None:
    """One ring in many threads while the file changes under it."""
    ring, failures = KeyRing(key_file), list[BaseException]()
    over = threading.Event()

    def use() -> None:
        try:
            while not over.is_set():
                assert ring.decrypt(ring.encrypt(SECRET)) == SECRET
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        write_keys(key_file, [new_key(), *read_keys(key_file)])
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_trial_run_changes_nothing(filled: App, key_file: Path) -> None:
    before, events = (stored(), key_file.read_text()), AuditEvent.objects.count()
    out = io.StringIO()
    call_command("rotate_key", "--dry-run", "--drop-old", stdout=out)
    assert "29 secrets" in out.getvalue() and "Nothing was changed" in out.getvalue()
    assert (stored(), key_file.read_text()) == before
    assert AuditEvent.objects.count() == events
    assert read_keys(key_file)[0] not in out.getvalue()


def test_the_command_rotates_and_says_no_key(filled: App, key_file: Path) -> None:
    out = io.StringIO()
    call_command("rotate_key", stdout=out)
    assert "29 secrets encrypted anew." in out.getvalue()
    assert all_of(read_keys(key_file)[0])
    assert not any(key in out.getvalue() for key in read_keys(key_file))


def test_keys_of_the_environment_are_left_to_their_owner(filled: App, settings: Settings, key_file: Path) -> None:  # fmt: skip
    settings.MIST_ENCRYPTION_KEYS = ["mine", *read_keys(key_file)]
    before = key_file.read_text()
    out = io.StringIO()
    call_command("rotate_key", "--drop-old", stdout=out)
    assert "MIST_ENCRYPTION_KEYS" in out.getvalue()
    assert all_of("mine") and key_file.read_text() == before


@pytest.mark.parametrize("broken", ["missing", "wrong", "empty"])
def test_a_page_says_what_to_do_when_secrets_cannot_be_read(
    broken: str, filled: App, key_file: Path, client: Client, alice: User
) -> None:
    client.force_login(alice)
    client.raise_request_exception = False
    if broken == "missing":
        key_file.unlink()
    else:
        key_file.write_text("" if broken == "empty" else "another-key\n")
    answer = client.get("/projects/shop/apps/web/environment/")
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "Mist cannot read its secrets" in page and "encryption.key" in page
    assert "Traceback" not in page and "InvalidToken" not in page
    with pytest.raises(CommandError) as caught:
        call_command("rotate_key", stdout=io.StringIO())
    assert "Put back the file encryption.key" in str(caught.value)
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)
    assert "PROBLEM encryption keys" in out.getvalue()


def test_a_healthy_mist_says_so(filled: App, key_file: Path) -> None:
    out = io.StringIO()
    try:
        call_command("doctor", stdout=out)
    except SystemExit:
        pass  # Something else of this machine.
    assert "encryption keys: 1 in use, all 29 secrets can be read" in out.getvalue()
    key_file.chmod(0o644)
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)
    assert "can be read by others" in out.getvalue()


def test_the_database_alone_tells_no_secret(filled: App, key_file: Path) -> None:
    """Neither a value nor a key is anywhere in it."""
    if connection.vendor != "sqlite":
        pytest.skip("reads SQLite's file")
    connection.ensure_connection()
    dump = "\n".join(connection.connection.iterdump())
    assert "projects_environmentvariable" in dump
    assert SECRET not in dump and read_keys(key_file)[0] not in dump


def test_keys_show_in_no_repr(key_file: Path) -> None:
    [key] = read_keys(key_file)
    assert key not in repr(KeyRing(key_file)) + repr(KeyRing(key_file, [key]))


def test_second_factors_get_the_new_key_too(key_file: Path, alice: User) -> None:
    secret, codes = with_app(alice)
    old = read_keys(key_file)[0]
    done = keys.key_rotate(drop_old=True, settle=0)
    assert (done.values, done.dropped) == (2, 1)
    assert old not in read_keys(key_file)
    assert code_check(user=alice, code=code_of(secret))
    assert code_check(user=alice, code=codes[0])
