"""Where names lead, ready for a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from apps.domains.advice import LOCAL, Advice, advise
from apps.domains.checking import OFTEN_FOR
from apps.domains.models import NameCheck
from apps.domains.selectors import checks_of, is_public_name


@dataclass(frozen=True)
class DnsCard:
    """One name."""

    host: str
    advice: Advice
    check: NameCheck | None = None
    check_url: str = ""
    """Where a check is asked for; empty for who may not."""

    @property
    def is_asking(self) -> bool:
        return self.check is not None and self.check.is_asking

    @property
    def pace(self) -> str:
        """When Mist looks again by itself."""
        if self.check is None or self.check.wrong_since is None:
            return ""
        since: dt.timedelta = timezone.now() - self.check.wrong_since
        often = since < OFTEN_FOR
        return f"Mist looks again {'every 2 minutes for a day' if often else 'every hour'}."


def dns_cards(hosts: Iterable[str], *, check_url: str = "") -> dict[str, DnsCard]:
    """Host → its card: one query."""
    names = list(hosts)
    checks = checks_of(names)
    return {
        host: DnsCard(host, advise(checks.get(host)), checks.get(host), check_url)
        if is_public_name(host)
        else DnsCard(host, LOCAL)
        for host in names
    }
