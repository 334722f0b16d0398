"""Writing samples, making long intervals of short ones, and forgetting what is old."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.db.models import Min

from apps.metrics.models import KEPT, Resolution, Samples
from apps.metrics.packing import Sample, by_bucket, pack, unpack
from apps.metrics.planning import roll_up

_ROLL_UPS = (
    (Resolution.FINE, Resolution.MEDIUM),
    (Resolution.MEDIUM, Resolution.COARSE),
)


def samples_write(*, at: int, samples: Mapping[int, Sample], resolution: Resolution) -> None:
    """Keep one moment of all subjects, in one statement. What is there already stays."""
    Samples.objects.bulk_create(
        (
            Samples(resolution=resolution, at=at, bucket=bucket, data=pack(some))
            for bucket, some in by_bucket(samples).items()
        ),
        ignore_conflicts=True,
    )


def samples_roll_up(*, now: float) -> None:
    """Make 5 minutes and hours of what was sampled in them, as far as they are over. Picks up
    where it was left, however long ago."""
    for fine, coarse in _ROLL_UPS:
        newest = Samples.objects.filter(resolution=coarse).order_by("-at").first()
        begin = newest.at + coarse if newest else 0
        end = int(now) - int(now) % coarse
        rows = Samples.objects.filter(resolution=fine, at__lt=end)
        while (first := rows.filter(at__gte=begin).aggregate(first=Min("at"))["first"]) is not None:
            begin = first - first % coarse
            _roll_up_one(fine, coarse, begin)
            begin += coarse


def _roll_up_one(fine: Resolution, coarse: Resolution, begin: int) -> None:
    rows = Samples.objects.filter(resolution=fine, at__gte=begin, at__lt=begin + coarse)
    found: dict[int, list[Sample]] = {}
    for data in rows.values_list("data", flat=True):
        for subject, sample in unpack(data).items():
            found.setdefault(subject, []).append(sample)
    rolled = {subject: roll_up(samples) for subject, samples in found.items()}
    samples_write(at=begin, samples=rolled, resolution=coarse)


def samples_expire(*, now: float) -> None:
    """Delete what is older than its resolution is kept."""
    with transaction.atomic():
        for resolution, seconds in KEPT.items():
            Samples.objects.filter(resolution=resolution, at__lt=int(now) - seconds).delete()
