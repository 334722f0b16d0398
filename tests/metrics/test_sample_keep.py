"""Samples: packed, rolled up, forgotten, read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from apps.engine.usage import Usage
from apps.metrics import planning
from apps.metrics.charts import columns
from apps.metrics.models import Resolution, Samples
from apps.metrics.packing import HOST, Point, Sample, pack, unpack, unpack_one
from apps.metrics.planning import Moment, point_between, range_of, roll_up
from apps.metrics.selectors import last_hour, newest_points, series_of
from apps.metrics.services import samples_expire, samples_roll_up, samples_write

HOUR = 1_800_000_000
"""A full hour."""
FINE, MEDIUM, COARSE = Resolution

numbers = st.integers(0, 2**32 - 1)
points = st.builds(Point, *[numbers] * 7)


def sample(value: int) -> Sample:
    point = Point(*[value] * 7)
    return Sample(point, point)


def keep(at: int, **values: int) -> None:
    """A fine sample of apps by id: `keep(15, a7=100)`."""
    samples = {int(name[1:]): sample(value) for name, value in values.items()}
    samples_write(at=at, samples=samples, resolution=FINE)


@given(st.dictionaries(numbers, st.builds(Sample, points, points), max_size=40))
def test_it_unpacks_what_it_packed(samples: dict[int, Sample]) -> None:
    data = pack(samples)
    assert unpack(data) == samples
    for subject, expected in samples.items():
        assert unpack_one(data, subject) == expected
    assert unpack_one(pack({7: sample(1)}), 8) is None


def test_it_keeps_numbers_in_their_bounds() -> None:
    wild = Point(-1, 2**40, 0, 0, 0, 0, 0)
    assert unpack(pack({1: Sample(wild, wild)}))[1].mean[:2] == (0, 2**32 - 1)


def usage(**changes: int) -> Usage:
    zero = dict.fromkeys(("cpu", "memory", "received", "sent", "read", "written", "pids"), 0)
    return Usage(**zero | changes)


def test_it_makes_rates_of_counters() -> None:
    before = usage(cpu=1_000_000, received=100, written=5_000)
    now = usage(cpu=8_500_000, memory=20 * 1024**2, received=1_600, written=5_000, pids=4)
    assert point_between(before, now, 15.0) == Point(5_000, 20_480, 100, 0, 0, 0, 4)


def test_counters_that_began_again_give_no_negative_rate() -> None:
    before = usage(cpu=90_000_000, received=10**9, sent=10**9)
    after = usage(cpu=3_000_000, received=1_500, sent=0)
    point = point_between(before, after, 15.0)
    assert (point.cpu, point.received, point.sent) == (2_000, 100, 0)


def test_it_rolls_up_to_the_mean_and_the_highest() -> None:
    rolled = roll_up([sample(10), sample(20), Sample(sample(30).mean, sample(90).mean)])
    assert rolled == Sample(sample(20).mean, sample(90).mean)


def test_a_hole_is_no_line() -> None:
    found = columns([Moment(at, sample(at)) for at in (0, 15, 30, 90, 105)], 15)
    assert found["at"] == [0, 15, 30, 45, 90, 105]
    assert found["cpu"] == [0, 15, 30, None, 90, 105]


@pytest.mark.django_db
class TestKept:
    def test_a_round_of_a_thousand_apps_is_one_statement(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        samples = {subject: sample(subject) for subject in range(1, 1_001)}
        with django_assert_num_queries(1):
            samples_write(at=HOUR, samples=samples, resolution=FINE)
        assert Samples.objects.count() == 32

    def test_the_same_moment_is_kept_once(self) -> None:
        keep(HOUR, a1=5)
        keep(HOUR, a1=9)
        assert series_of(1, range_of("1h"), HOUR + 10) == [Moment(HOUR, sample(5))]

    def test_it_makes_long_intervals_of_short_ones(self) -> None:
        for second in range(0, 3600, 15):
            keep(HOUR + second, a1=second, a40=7)
        samples_roll_up(now=HOUR + 3600)
        medium = Samples.objects.filter(resolution=MEDIUM, bucket=0).order_by("at")
        assert [row.at - HOUR for row in medium] == list(range(0, 3600, 300))
        first = unpack(medium[0].data)[1]
        assert (first.mean.cpu, first.most.cpu) == (143, 285)
        hour = Samples.objects.get(resolution=COARSE, bucket=0)
        assert (hour.at, unpack(hour.data)[1].most.cpu) == (HOUR, 3_585)
        assert unpack(Samples.objects.get(resolution=COARSE, bucket=1).data) == {40: sample(7)}

    def test_it_rolls_up_only_what_is_over_and_once(self) -> None:
        for second in range(0, 450, 15):
            keep(HOUR + second, a1=second)
        for now in (HOUR + 299, HOUR + 450, HOUR + 460):
            samples_roll_up(now=now)
        assert [row.at for row in Samples.objects.filter(resolution=MEDIUM)] == [HOUR]

    def test_it_takes_up_roll_ups_after_mist_was_down(self) -> None:
        keep(HOUR, a1=1)
        samples_roll_up(now=HOUR + 300)
        keep(HOUR + 600, a1=2)
        keep(HOUR + 50_000 - 50_000 % 15, a1=3)
        samples_roll_up(now=HOUR + 60_000)
        kept = Samples.objects.filter(resolution=MEDIUM).order_by("at")
        assert [row.at - HOUR for row in kept] == [0, 600, 49_800]
        assert Samples.objects.filter(resolution=COARSE).count() == 2

    @pytest.mark.parametrize(("resolution", "days"), [(FINE, 1), (MEDIUM, 30), (COARSE, 365)])
    def test_it_forgets_what_is_too_old(self, resolution: Resolution, days: int) -> None:
        for at in (HOUR, HOUR + resolution):
            samples_write(at=at, samples={1: sample(1)}, resolution=resolution)
        samples_expire(now=HOUR + days * 86_400)
        assert Samples.objects.count() == 2
        samples_expire(now=HOUR + days * 86_400 + 1)
        assert [row.at for row in Samples.objects.all()] == [HOUR + resolution]

    @pytest.mark.parametrize("name", ["1h", "24h", "7d", "30d"])
    def test_a_chart_ends_now_and_takes_one_query(
        self, name: str, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for second in range(0, 8_000, 15):
            keep(HOUR + second, a1=second + 1, a2=9)
        samples_roll_up(now=HOUR + 8_000)
        chosen = range_of(name)
        with django_assert_num_queries(1):
            series = series_of(1, chosen, HOUR + 8_000)
        times = [moment.at for moment in series]
        assert times == sorted(set(times)) and len(times) <= 721
        assert HOUR + 8_000 - times[-1] < chosen.resolution + 15
        assert series[-1].sample.most.cpu == 7_996
        assert all(at % chosen.resolution == 0 for at in times)

    def test_an_app_without_samples_has_an_empty_chart(self) -> None:
        keep(HOUR, a1=1)
        assert series_of(2, range_of("30d"), HOUR + 20) == []
        assert last_hour(2, HOUR + 20) == (None, [None] * 60)

    def test_the_last_hour_has_a_point_of_each_minute(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for second in range(0, 3_660, 15):
            keep(HOUR + second, a1=second)
        with django_assert_num_queries(1):
            now, hour = last_hour(1, HOUR + 3_650)
        assert now == sample(3_645).mean
        assert [point and point.cpu for point in hour] == list(range(60, 3_660, 60))
        assert last_hour(1, HOUR + 3_800)[0] is None

    def test_only_what_runs_now_is_among_the_newest(self) -> None:
        keep(HOUR, a0=1, a1=1, a50=1)
        keep(HOUR + 15, a0=2, a50=2)
        assert newest_points(HOUR + 20) == {HOST: sample(2).mean, 50: sample(2).mean}
        assert newest_points(HOUR + 100) == {}


def test_sparklines_break_where_nothing_was_measured() -> None:
    line, area = planning.spark_paths([1, 2, None, 3, 4, None, 5])
    assert line.count("M") == area.count("Z") == 2
    assert planning.spark_paths([None, 5]) == ("", "")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 KB"),
        (20 * 1024, "20 KB"),
        (9.8 * 1024**2, "9.8 MB"),
        (412.4 * 1024**2, "412 MB"),
        (1024**3, "1 GB"),
        (11.42 * 1024**3, "11.4 GB"),
        (1023 * 1024**2, "1.0 GB"),
    ],
)
def test_sizes_read_well(number: float, text: str) -> None:
    assert planning.size(number) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.003, "0.3%"), (0.0999, "10%"), (0.74, "74%")]
)
def test_shares_read_well(share: float, text: str) -> None:
    assert planning.percent(share) == text
