"""A retry does nothing twice: the `Idempotency-Key` header.

Source: draft-ietf-httpapi-idempotency-key-header. The key is the client's, kept for a day for its
token alone. A retry with the same key and content gets the answer of the first request; the same
key with other content is refused (422). A retry that comes while the first one is still at work
waits for it, so the draft's 409 is not needed. Only what was done is kept: a request that failed
may be tried again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.api.gate import token_of
from apps.api.models import ApiToken, KeptAnswer
from apps.api.problems import Problem

KEPT_FOR = dt.timedelta(hours=24)
REPLAYED = "Idempotent-Replayed"
"""Says that the answer is that of an earlier request."""
# A string of structured fields (RFC 9651, 3.3.3), as the draft says, or what most clients send.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,200})"')
_BARE = re.compile(r"[A-Za-z0-9._~+/:=-]{1,200}")


def key_of(request: HttpRequest) -> str | None:
    """The key, None where there is none. Raises `Problem` for what is no key."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if (match := _STRING.fullmatch(given)) is not None:
        return re.sub(r"\\(.)", r"\1", match[1])
    if _BARE.fullmatch(given):
        return given
    raise Problem(
        "invalid-key",
        'A key has 1 to 200 visible characters in quotes, for example "8e03978e-40d5-43e8-bc93".',
    )


def once(request: HttpRequest, body: bytes, do: Callable[[], HttpResponse]) -> HttpResponse:
    """What `do` answers, or what it answered to the same key before. `do` writes to the database
    alone: what it did and that it was done is one transaction."""
    key, token = key_of(request), token_of(request)
    if key is None or token is None:
        return do()
    digest = _digest(key.encode())
    mark = _digest(f"{request.method} {request.get_full_path()}\n".encode() + body)
    try:
        # With PostgreSQL the unique key makes a second request wait here and then fail; SQLite
        # lets one transaction write at a time.
        with transaction.atomic():
            if (kept := _kept(token, digest)) is None:
                return _keep(token, digest, mark, do)
    except IntegrityError:
        if (kept := _kept(token, digest)) is None:
            raise
    return _again(kept, mark)


def _kept(token: ApiToken, key: str) -> KeptAnswer | None:
    fresh = timezone.now() - KEPT_FOR
    return KeptAnswer.objects.filter(token=token, key=key, created_at__gt=fresh).first()


def _keep(token: ApiToken, key: str, mark: str, do: Callable[[], HttpResponse]) -> HttpResponse:
    KeptAnswer.objects.filter(created_at__lte=timezone.now() - KEPT_FOR).delete()
    # First the row, which whoever comes second meets, then the deed.
    row = KeptAnswer.objects.create(token=token, key=key, fingerprint=mark, status=0, body="")
    answer = do()
    row.status, row.body = answer.status_code, answer.content.decode()
    row.location = answer.get("Location", "")
    row.save(update_fields=["status", "body", "location"])
    return answer


def _again(kept: KeptAnswer, mark: str) -> HttpResponse:
    if kept.fingerprint != mark:
        raise Problem(
            "key-reused",
            "This key came with another request in the last 24 hours. Use a new key for each deed.",
        )
    headers = {REPLAYED: "true"} | ({"Location": kept.location} if kept.location else {})
    return HttpResponse(
        kept.body, status=kept.status, content_type="application/json", headers=headers
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
