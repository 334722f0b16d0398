"""Samples as whole numbers, and how those of up to 32 subjects become the bytes of one row."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

HOST = 0
"""The machine itself. Every other subject is an app, by its id."""
BUCKET = 32
"""Subjects whose ids are this near share a row."""
_MOST = 2**32 - 1
_FAST = 1


class Point(NamedTuple):
    """What one subject does at one time."""

    cpu: int
    """Hundredths of a per cent of one core: 10,000 is one core at work all the time."""
    memory: int
    """KiB."""
    received: int
    """Bytes a second, as are the next three."""
    sent: int
    read: int
    written: int
    tasks: int
    """Processes and threads of an app. Of the host: a hundred times its load average."""


class Sample(NamedTuple):
    """What one subject did during an interval."""

    mean: Point
    most: Point
    """Each value at its highest, not all at the same moment."""


def bucket_of(subject: int) -> int:
    return subject // BUCKET


def by_bucket(samples: Mapping[int, Sample]) -> dict[int, dict[int, Sample]]:
    """Bucket → the samples that go into its row."""
    found: dict[int, dict[int, Sample]] = {}
    for subject, sample in samples.items():
        found.setdefault(bucket_of(subject), {})[subject] = sample
    return found


def pack(samples: Mapping[int, Sample]) -> bytes:
    """The subjects' ids, then one value after the other, each of all subjects: like stands beside
    like, which compresses well. Highest values are left out where they are the means."""
    subjects = sorted(samples)
    means = [samples[subject].mean for subject in subjects]
    peaks = [samples[subject].most for subject in subjects]
    rows = means if means == peaks else [a + b for a, b in zip(means, peaks, strict=True)]
    numbers = [*subjects]
    for column in zip(*rows, strict=True):
        numbers += [min(max(value, 0), _MOST) for value in column]
    count = len(subjects)
    return zlib.compress(struct.pack(f"<H{len(numbers)}I", count, *numbers), _FAST)


def unpack(data: bytes | memoryview) -> dict[int, Sample]:
    """Subject → sample."""
    count, numbers = _numbers(data)
    rows = zip(*_columns(numbers, count), strict=True)
    return {subject: _sample(row) for subject, row in zip(numbers[:count], rows, strict=True)}


def unpack_one(data: bytes | memoryview, subject: int) -> Sample | None:
    """The sample of one subject, None when it has none there."""
    count, numbers = _numbers(data)
    try:
        place = numbers.index(subject, 0, count)
    except ValueError:
        return None
    return _sample(numbers[count + place :: count])


def _numbers(data: bytes | memoryview) -> tuple[int, tuple[int, ...]]:
    raw = zlib.decompress(data)
    (count,) = struct.unpack_from("<H", raw)
    return count, struct.unpack_from(f"<{(len(raw) - 2) // 4}I", raw, 2)


def _columns(numbers: tuple[int, ...], count: int) -> Iterable[tuple[int, ...]]:
    return (numbers[at : at + count] for at in range(count, len(numbers), max(count, 1)))


def _sample(row: tuple[int, ...]) -> Sample:
    size = len(Point._fields)
    mean = Point(*row[:size])
    return Sample(mean, Point(*row[size:]) if len(row) > size else mean)
