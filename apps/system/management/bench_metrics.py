"""What samples of a thousand apps cost, for `./mist bench`."""

from __future__ import annotations

import time

from apps.deployments.models import Deployment, Status
from apps.metrics.models import KEPT, Resolution, Samples
from apps.metrics.packing import Sample
from apps.metrics.planning import RANGES
from apps.metrics.sampling import STEP, Meter, Recorder
from apps.metrics.selectors import last_hour, live_containers, series_of
from apps.metrics.services import samples_write

HOUR = 3600


def measure_rounds(container: str) -> dict[str, float]:
    """An hour of rounds, with their roll-ups and deletions, one after the other. Every live
    deployment is taken to run in `container`, whose files are read once for each."""
    Deployment.objects.filter(status=Status.LIVE).update(container_id=container)
    # On a full hour that the Mist which is up meanwhile will not meet.
    begin = (int(time.time()) // HOUR + 2) * HOUR
    containers = live_containers()
    _fill_yesterday(begin)
    recorder = Recorder(Meter(least=0.0))
    recorder.record(begin - STEP)
    used = time.process_time()
    for at in range(begin, begin + HOUR + STEP, STEP):
        recorder.record(at)
    rounds = HOUR // STEP + 1
    round_ms = (time.process_time() - used) / rounds * 1000
    app = next(iter(containers))
    found: dict[str, float] = {
        "apps": len(containers),
        "round_ms": round(round_ms, 1),
        "percent_of_a_core": round(round_ms / STEP / 10, 2),
        "database_mb_after_a_year": round(_bytes_after_a_year(begin) / 1024**2),
    }
    for chosen in RANGES:
        began = time.perf_counter()
        series_of(app, chosen, begin + HOUR)
        found[f"chart_{chosen.name}_ms"] = round((time.perf_counter() - began) * 1000, 1)
    began = time.perf_counter()
    last_hour(app, begin + HOUR)
    found["card_ms"] = round((time.perf_counter() - began) * 1000, 1)
    return found


def _fill_yesterday(begin: int) -> None:
    """Samples that these rounds will have to forget."""
    old = begin - KEPT[Resolution.FINE]
    meter = Meter(least=0.0)
    meter.measure(live_containers(), host=True)
    points = meter.measure(live_containers(), host=True)
    samples = {subject: Sample(point, point) for subject, point in points.items()}
    for at in range(old, old + HOUR, STEP):
        samples_write(at=at, samples=samples, resolution=Resolution.FINE)


def _bytes_after_a_year(begin: int) -> float:
    """Of rows as they were written just now, without the database's own overhead."""
    total = 0.0
    for resolution, seconds in KEPT.items():
        rows = Samples.objects.filter(resolution=resolution, at__gte=begin)
        moments = rows.values("at").distinct().count()
        size = sum(len(data) for data in rows.values_list("data", flat=True))
        total += size / max(moments, 1) * (seconds / resolution)
    return total
