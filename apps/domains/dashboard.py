"""The dashboard's own names: led to Mist's pages over HTTP, and over HTTPS as names of apps are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from apps.deployments import events
from apps.domains.acme import resolvers_for
from apps.domains.decisions import Known, known_to_show
from apps.domains.https import Rules, State, https_of
from apps.domains.models import CertificateOrder, ServedCertificate
from apps.engine.connect import get_engine
from apps.engine.dashboard_routes import dashboard_routes
from apps.engine.errors import EngineError
from apps.engine.locks import file_lock
from apps.engine.routes import Https, Route
from apps.projects.https_models import HttpsBy, Redirect
from apps.system.names import chosen_names, dashboard_names, keep_names
from apps.system.planning import local_url

logger = logging.getLogger("mist.domains")


def publish_dashboard() -> Mapping[str, Any]:
    """Have the proxy lead to the dashboard what leads there now, and write down whether visitors of
    its name are sent on to HTTPS. Returns the routes. Does nothing when all is so.

    Never raises: where it cannot be done, on a full disk for example, or nobody can say how a name
    is answered over HTTPS, what leads there stays as it is, and the next round finds the same.
    """
    try:
        return _publish()
    except (EngineError, OSError, DatabaseError) as error:
        logger.warning("The dashboard's route: %s", error)
        return {}


def _publish() -> Mapping[str, Any]:
    config = settings.MIST_ENGINE_CONFIG
    # Whoever decides writes before another one decides: a name that was refused stays off.
    with file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "dashboard-routes"):
        https = _https()
        routes = [
            Route(host, key="" if n == 0 else "trial", https=https[host])
            for n, host in enumerate(https)
        ]
        url = "" if config.proxy_host else local_url()
        file = dashboard_routes(routes=routes, url=url)
        get_engine().proxy.write_dashboard(file)
        sends_on = next((host for host, one in https.items() if one and one.redirects), "")
        is_new = chosen_names().sends_on != sends_on
        if is_new:
            keep_names(sends_on=sends_on)
    if is_new:
        events.publish(events.LOBBY, {"type": "mist.changed"})
    return file


def _https() -> dict[str, Https | None]:
    """Name → how it is answered over HTTPS. Nobody is sent on from one that is on trial: whoever
    opens its link comes in either way."""
    names = dashboard_names()
    if not names:
        return {}
    known, confirmed = _known(names), chosen_names().dashboard
    return {
        host: https_of(
            known.wish(host, HttpsBy(by)),
            served=known.served.get(host),
            rules=Rules(
                redirect=Redirect.ON if host == confirmed else Redirect.OFF,
                port=settings.MIST_ENGINE_CONFIG.https_port,
            ),
            now=known.now,
        )
        for host, by in names.items()
    }


def _known(names: Mapping[str, str], *, to_show: bool = False) -> Known:
    found = ServedCertificate.objects.filter(host__in=names)
    automatic = [host for host, by in names.items() if by == HttpsBy.AUTOMATIC]
    served = {one.host: one for one in found}
    if to_show:
        return known_to_show(served, automatic)
    return Known(served, (), (), resolvers_for(automatic), timezone.now())


def dashboard_state(host: str, by: HttpsBy) -> tuple[State, CertificateOrder | None]:
    """What the page says of how the dashboard's name is answered over HTTPS, and of its certificate
    where the issuer has refused it: two queries."""
    known = _known({host: by}, to_show=True)
    order = next(iter(known.orders_to_tell), None)
    return known.state(host, by), order
