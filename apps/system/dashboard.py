"""Leads the dashboard's own name to Mist's pages, and takes a name back that nobody came by."""

from __future__ import annotations

import logging
import time

from django.db import transaction

from apps.audit.trail import record
from apps.deployments import events
from apps.domains.dashboard import publish_dashboard
from apps.system.names import chosen_names, keep_names, names_lock

logger = logging.getLogger("mist.system")


def settle_dashboard() -> None:
    """Make the proxy lead there what leads there now. Does nothing when all is so, and may run at
    any time: after a restart it ends what was on trial when Mist was stopped."""
    ended = _end_trial()
    publish_dashboard()
    if ended:
        logger.warning("Nobody came by %s: the dashboard's name is what it was", ended)
        events.publish(events.LOBBY, {"type": "mist.changed"})


def _end_trial() -> str:
    """The name whose time is over; empty for none."""
    if not _is_over():
        return ""
    with names_lock(), transaction.atomic():
        names = chosen_names()
        if not _is_over():
            return ""
        record("dashboard_name.revert", name=names.trial_host)
        keep_names(trial_host="", trial_until=0.0, trial_by=0, given_up=names.trial_host)
    return names.trial_host


def _is_over() -> bool:
    names = chosen_names()
    return bool(names.trial_host) and names.trial_until <= time.time()
