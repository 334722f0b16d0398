"""Where visitors of apps are to be led, as the database has it: of as many apps at once as one
likes. Nothing here writes anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from apps.deployments.models import RUNNING, SHARING, Deployment, Status
from apps.domains.addresses import Addresses, addresses_of
from apps.domains.models import TrafficRules
from apps.domains.planning import closed_routes_file, routes_file
from apps.engine.backends import Backend
from apps.projects.models import App

_USED = ("app", "status", "port", "more_ports", "container_id", "replica_ids", "roll")
"""What is read of deployments, the rest of which may be some KB."""


@dataclass(frozen=True)
class Standing:
    """What counts for the routes of one app."""

    app: App
    live: Deployment | None
    at_work: Deployment | None
    """The one that shares the visitors with what is live, or for which that has made way."""
    addresses: Addresses | None
    """None where nobody can come, and there is no route."""

    @property
    def is_closed(self) -> bool:
        """Whether visitors are told to come back."""
        return self.live is None or (
            self.at_work is not None and self.at_work.gap_began_at is not None
        )

    @property
    def rolling(self) -> Deployment | None:
        """The one whose containers are taking the place of those of what is live, one by one, or
        are giving it back."""
        return self.at_work if self.addresses is not None and not self.is_closed else None


def standings(pks: Collection[int]) -> dict[int, Standing]:
    """By the apps' keys, of those that there are, in as few queries as `addresses_of`. Raises
    `SecretsUnreadable`."""
    apps = App.objects.filter(pk__in=pks).select_related("project").order_by("pk")
    by_pk = {app.pk: app for app in apps}
    live, at_work = dict[int, Deployment](), dict[int, Deployment]()
    deployments = Deployment.objects.order_by()
    for row in deployments.filter(app__in=by_pk, status=Status.LIVE).only(*_USED):
        row.app = by_pk[row.app_id]
        live[row.app_id] = row
    # Of all apps, for they are few: by apps, each one's whole history would be gone through.
    made_way = Q(gap_began_at__isnull=False, status__in=RUNNING)
    for row in deployments.filter(made_way | SHARING).only(*_USED, "gap_began_at"):
        if row.app_id in by_pk:
            row.app = by_pk[row.app_id]
            at_work[row.app_id] = row
    led = _led(by_pk.values(), live)
    addresses = addresses_of(led) if led else {}
    return {
        pk: Standing(app, live.get(pk), at_work.get(pk), addresses.get(app))
        for pk, app in by_pk.items()
    }


def wanted_file(standing: Standing, backends: Sequence[Backend] = ()) -> dict[str, Any]:
    """The app's route file; empty for none. It leads to the `backends` where there are some, else
    to the service of what is live."""
    live, addresses = standing.live, standing.addresses
    if addresses is None:
        return {}
    if live is None or standing.is_closed:
        return closed_routes_file(addresses)
    return file_to(live, addresses, backends)


def file_to(
    deployment: Deployment, addresses: Addresses, backends: Sequence[Backend] = ()
) -> dict[str, Any]:
    """The file by which all of the addresses lead to that deployment, or to the `backends`."""
    if backends:
        return routes_file(
            addresses,
            service=deployment.service,
            containers=len(backends),
            more_ports={port for one in backends for port in (one.port, *one.more_ports)},
            backends=backends,
        )
    return routes_file(
        addresses,
        service=deployment.service,
        containers=deployment.replicas,
        port=deployment.port,
        more_ports=deployment.more_ports,
    )


def _led(apps: Collection[App], live: Mapping[int, Deployment]) -> list[App]:
    """Those to which somebody can come: at least to be told of their maintenance."""
    led = [app for app in apps if app.pk in live and live[app.pk].has_address]
    without = [app for app in apps if app.pk not in live and app.has_address]
    if without:
        rows = TrafficRules.objects.filter(app__in=without, maintenance=True).order_by()
        paused = set(rows.values_list("app", flat=True))
        led += [app for app in without if app.pk in paused]
    return led
