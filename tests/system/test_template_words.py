"""Times, durations and states as people read them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from apps.deployments.models import Deployment, Status
from apps.projects.models import App
from apps.system.templatetags import mist

SPACE = "\u00a0"


@pytest.mark.parametrize(
    ("back", "text"),
    [
        ({"seconds": 38.5}, "38 s ago"),
        ({"minutes": 24, "seconds": 1}, "24 min ago"),
        ({"hours": 3, "seconds": 1}, "3 h ago"),
        ({"hours": 25}, "yesterday"),
        ({"seconds": -5}, "now"),
    ],
)
def test_it_says_how_long_ago(back: dict[str, float], text: str) -> None:
    assert mist.ago(timezone.now() - dt.timedelta(**back)).replace(SPACE, " ") == text


def test_it_names_the_day_of_what_is_older() -> None:
    assert mist.ago(dt.datetime(2020, 11, 4, tzinfo=dt.UTC)).replace(SPACE, " ") == "4 Nov 2020"
    assert mist.ago(None) == mist.when(None) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.1 s"),
        (0.42, "0.4 s"),
        (12.4, "12 s"),
        (102, "1 min 42 s"),
        (7380, "2 h 3 min"),
        (dt.timedelta(seconds=59.7), "1 min 0 s"),
        (None, ""),
    ],
)
def test_it_says_how_long_something_took(seconds: float | None, text: str) -> None:
    assert mist.duration(seconds).replace(SPACE, " ") == text


@pytest.mark.parametrize("status", Status)
def test_it_has_a_shape_and_a_word_for_every_status(status: Status) -> None:
    deployment = Deployment(status=status)
    assert mist.state(deployment)
    assert mist.word(deployment)
    assert mist.word(deployment) in mist.status(deployment)


@pytest.mark.parametrize("observed", App.Observed)
def test_it_has_a_shape_and_a_word_for_every_app(observed: App.Observed) -> None:
    app = App(observed=observed)
    shape = {"restarting": "unhealthy", "ended": "stopped"}.get(observed, observed.value)
    assert (mist.state(app), mist.word(app)) == (shape, observed.label)
    app.active_status = Status.CLONING  # type: ignore[attr-defined]
    assert mist.word(app) == "Deploying"


def test_it_says_no_icon_that_does_not_exist() -> None:
    assert mist.icon("rocket", "size-4").startswith('<svg class="icon size-4"')
    with pytest.raises(FileNotFoundError):
        mist.icon("no-such-icon")
