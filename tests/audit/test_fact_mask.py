"""Nothing that is recorded holds a secret."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.audit.trail import MASK, facts, record, without_credentials
from apps.projects.models import App
from apps.projects.services import variables_save


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://user:t0ken@git.example.com/a/b", f"https://{MASK}@git.example.com/a/b"),
        ("https://t0ken@git.example.com/a/b", f"https://{MASK}@git.example.com/a/b"),
        ("HTTPS://user:t0ken@git.example.com/", f"HTTPS://{MASK}@git.example.com/"),
        ("https://u:p@t0ken@git.example.com/a", f"https://{MASK}@git.example.com/a"),
        ("postgres://mist:t0ken@db/mist", f"postgres://mist:{MASK}@db/mist"),
        ("ssh://git:t0ken@host/a", f"ssh://git:{MASK}@host/a"),
        ("ssh://git@host/a", "ssh://git@host/a"),
        ("git@host:a/b", "git@host:a/b"),
        ("https://host/a?access_token=t0ken&x=1", f"https://host/a?access_token={MASK}&x=1"),
        ("curl https://a:t0ken@b/ && run", f"curl https://{MASK}@b/ && run"),
        ("https://git.example.com/a@b", "https://git.example.com/a@b"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_credentials_in_an_address_are_masked(text: str, kept: str) -> None:
    assert without_credentials(text) == kept


def test_a_field_that_is_encrypted_or_a_password_is_left_out(web: App, alice: User) -> None:
    variables_save(app=web, values={"KEY": "t0ken"}, changed_by=alice)
    assert facts(web.variables.get(), "name", "value", "at_build") == {
        "name": "KEY",
        "at_build": False,
    }
    assert facts(alice, "email", "password") == {"email": "alice@example.com"}


def test_what_is_recorded_is_plain_and_masked(web: App) -> None:
    web.repository = "https://user:t0ken@git.example.com/a"
    web.cpus = Decimal("0.50")
    record(
        "app.update",
        web,
        name="https://user:t0ken@here",
        before=facts(web, "repository", "cpus"),
        after={"at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "password": "t0ken", "all": ["x://a:t0ken@b"]},
    )  # fmt: skip
    event = AuditEvent.objects.get(action="app.update")
    assert event.before == {"repository": f"https://{MASK}@git.example.com/a", "cpus": "0.50"}
    assert event.after == {
        "at": "2026-01-02T00:00:00+00:00",
        "password": MASK,
        "all": [f"x://a:{MASK}@b"],
    }
    assert event.thing_name == f"https://{MASK}@here"


def test_a_long_fact_is_cut(web: App) -> None:
    record("app.update", web, after={"text": "x" * 5000})
    assert len(AuditEvent.objects.get(action="app.update").after["text"]) == 1001


@pytest.mark.parametrize("piece", ["x", "?", "a://", "?token", "token", "&key=", "a@", "://"])
def test_a_long_text_of_a_stranger_is_read_once(piece: str) -> None:
    """Whose pieces are each looked at from every place takes hours for this."""
    assert without_credentials(piece * 500_000 + " https://u:hunter2@h/").endswith("@h/")
