"""What is in the way of asking for a name's certificate, as far as the DNS has said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from enum import StrEnum

from django.utils import timezone

from apps.domains.acme import acme_settings
from apps.domains.models import NameCheck
from apps.engine.acme import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from apps.engine.name_state import CaaState, NameState
from apps.engine.routes import WILD

ANSWER = dt.timedelta(seconds=15)
"""For so long the DNS is waited for of a name that is new: it answers, or has not, by then."""
LEADS_HERE = {
    NameState.HERE: True,
    NameState.PROXIED: True,
    NameState.PRIVATE: False,
    NameState.PARTLY: False,
    NameState.ELSEWHERE: False,
    NameState.MISSING: False,
    NameState.LOOP: False,
}


class Hindrance(StrEnum):
    NONE = ""
    ASKING = "asking"
    """The DNS is being asked for the first time."""
    DNS = "dns"
    """The name does not lead here, or not with all of its addresses."""
    CAA = "caa"
    """CAA records forbid the issuer."""
    CREDENTIALS = "credentials"
    """A wildcard, and there are no DNS credentials with which it could be proven."""


def hindrances(
    hosts: Collection[str], checks: Mapping[str, NameCheck] | None = None
) -> dict[str, Hindrance]:
    """Name → what is in the way; in two queries, one less where `checks` of these names are given,
    and one less where nothing hangs on whom is asked for certificates."""
    if checks is None:
        rows = NameCheck.objects.filter(host__in=hosts) if hosts else ()
        checks = {one.host: one for one in rows}
    found = [checks[host] for host in hosts if host in checks]
    hangs = any(one.caa == CaaState.FORBIDS or one.state == NameState.PRIVATE for one in found)
    directory, now = (acme_settings().directory if hangs else ""), timezone.now()
    return {host: hindrance(checks.get(host), directory=directory, now=now) for host in hosts}


def hindrance(check: NameCheck | None, *, directory: str, now: dt.datetime) -> Hindrance:
    """Nothing, where the DNS was not asked or has not answered: then the issuer says."""
    if check is None:
        return Hindrance.NONE
    if not check.state:
        is_new = check.asked_at is not None and now - check.asked_at < ANSWER
        return Hindrance.ASKING if is_new else Hindrance.NONE
    is_public = directory in (LETS_ENCRYPT, LETS_ENCRYPT_STAGING)
    if check.caa == CaaState.FORBIDS and is_public:
        # The records are read for that issuer.
        return Hindrance.CAA
    state = NameState(check.state)
    if state == NameState.PRIVATE and (check.host.startswith(WILD) or not is_public):
        # Proven by a record, or by an issuer who may well be in the same network.
        return Hindrance.NONE
    return Hindrance.DNS if LEADS_HERE.get(state) is False else Hindrance.NONE
