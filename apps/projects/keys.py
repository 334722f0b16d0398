"""Giving every secret another key, while Mist runs.

The order is what makes it safe at any moment, also of a kill: the new key stands in the file before
anything is encrypted with it, and an old one leaves only when nothing in the database needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Cast

from apps.audit.trail import record
from apps.engine.errors import SecretsUnreadable
from apps.engine.keys import new_key, write_keys
from apps.engine.locks import file_lock
from apps.projects.fields import EncryptedTextField, key_ring

BATCH = 200
"""Rows in one transaction: other writers wait for no more than that."""
SETTLE_SECONDS = 25.0
"""After a new key is there, so long may what was encrypted with an old one still be on its way into
the database: writers wait up to 20 s for it (see `DATABASES`)."""


@dataclass(frozen=True)
class Rotation:
    """What was done, or would be."""

    keys: int
    """In use before."""
    values: int
    """That another key than the first had."""
    dropped: int = 0
    """Keys that are gone."""


@dataclass(frozen=True)
class Column:
    """One column of secrets."""

    model: type[models.Model]
    name: str

    def tokens(self) -> Iterator[list[tuple[Any, str]]]:
        """(primary key, what is stored), batch by batch."""
        rows = self.model._base_manager.annotate(
            token=Cast(self.name, output_field=models.TextField())
        ).order_by("pk")
        last: Any = None
        while True:
            page = rows if last is None else rows.filter(pk__gt=last)
            batch = list(page.exclude(token=None).values_list("pk", "token")[:BATCH])
            if not batch:
                return
            yield batch
            last = batch[-1][0]

    def replace(self, pk: Any, old: str, new: str) -> int:
        """Store `new` unless somebody has stored something else meanwhile."""
        rows = self.model._base_manager.filter(pk=pk).annotate(
            token=Cast(self.name, output_field=models.TextField())
        )
        stored = models.Value(new, output_field=models.TextField())
        changed: int = rows.filter(token=old).update(**{self.name: stored})
        return changed


class SeedColumn(Column):
    """What a second factor's row holds under `name` in its JSON: django-allauth's, which asks
    `apps.accounts.adapters` to encrypt it."""

    def tokens(self) -> Iterator[list[tuple[Any, str]]]:
        last = 0
        while batch := list(Authenticator.objects.filter(pk__gt=last).order_by("pk")[:BATCH]):
            yield [(row.pk, row.data[self.name]) for row in batch if self.name in row.data]
            last = batch[-1].pk

    def replace(self, pk: Any, old: str, new: str) -> int:
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().filter(pk=pk).first()
            if row is None or row.data.get(self.name) != old:
                return 0
            row.data[self.name] = new
            row.save(update_fields=["data"])
            return 1


def secret_columns() -> list[Column]:
    """Every column of every model that is encrypted."""
    return [
        *(
            Column(model, field.name)
            for model in apps.get_models()
            for field in model._meta.concrete_fields
            if isinstance(field, EncryptedTextField) and field.model is model
        ),
        SeedColumn(Authenticator, "secret"),
        SeedColumn(Authenticator, "seed"),
    ]


def unreadable_count() -> tuple[int, int]:
    """How many secrets no key decrypts, and how many there are."""
    ring, bad, total = key_ring(), 0, 0
    for column in secret_columns():
        for batch in column.tokens():
            total += len(batch)
            for _, token in batch:
                try:
                    ring.decrypt(token)
                except SecretsUnreadable:
                    bad += 1
    return bad, total


def outdated_count() -> int:
    """How many secrets have another key than the first. Raises `SecretsUnreadable`."""
    tokens = (token for c in secret_columns() for batch in c.tokens() for _, token in batch)
    return sum(key_ring().rotate(token) is not None for token in tokens)


def secrets_encrypt_anew() -> int:
    """Give every secret the first key; returns how many had another one. May be repeated. Raises
    `SecretsUnreadable` at one that cannot be read, which stays as it is."""
    ring, count = key_ring(), 0
    for column in secret_columns():
        for batch in column.tokens():
            anew = [(pk, old, new) for pk, old in batch if (new := ring.rotate(old)) is not None]
            with transaction.atomic():
                count += sum(column.replace(pk, old, new) for pk, old, new in anew)
    return count


def key_rotate(
    *,
    drop_old: bool,
    say: Callable[[str], None] = lambda text: None,
    settle: float = SETTLE_SECONDS,
) -> Rotation:
    """Put a new key first and encrypt everything with it; then, if asked, take the old ones away.

    With keys of the environment, which only a person changes, everything gets the first of those.
    Raises `SecretsUnreadable` when a secret cannot be read: then no key is dropped.
    """
    ring = key_ring()
    with file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "rotate-key"):
        keys = ring.keys()
        if not ring.is_fixed:
            write_keys(ring.path, [new_key(), *keys])
        written = time.monotonic()
        say(f"Encrypting {sum(1 for _ in secret_columns())} kinds of secrets with the first key")
        values = secrets_encrypt_anew()
        dropped = 0
        if drop_old and not ring.is_fixed:
            say("Waiting for what others still write with the old key")
            time.sleep(max(0.0, written + settle - time.monotonic()))
            values += secrets_encrypt_anew()
            dropped = len(keys)
            write_keys(ring.path, ring.keys()[:1])
        done = Rotation(len(keys), values, dropped)
        record("encryption_key.rotate", name="Encryption key", after={
            "values": values, "keys_dropped": dropped,
        })  # fmt: skip
    return done
