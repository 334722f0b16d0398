"""What Django reports of an error, also with MIST_DEBUG on: where it was, and of no value."""

from __future__ import annotations

import sys

import pytest
from django.conf import settings as django_settings
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from apps.projects.fields import key_ring
from apps.projects.models import App, EnvironmentVariable
from apps.projects.services import variables_save

SECRET = "value-that-nobody-may-see"


class Holder:
    def __repr__(self) -> str:
        return SECRET


def breaks(variable: EnvironmentVariable) -> None:
    value, held, [key] = variable.value, Holder(), [f"{variable.value}-in-a-text"]
    raise ValueError(f"{len(value)} {held is None} {len(key)}")


def reports(app: App) -> list[str]:
    sent = {"value": SECRET, "text": f"A={SECRET}", "password": SECRET}
    request = RequestFactory().post("/x/", sent, headers={"Cookie": f"mist_session={SECRET}"})
    try:
        breaks(app.variables.get())
    except ValueError:
        reporter = ExceptionReporter(request, *sys.exc_info())
        return [reporter.get_traceback_html(), reporter.get_traceback_text()]
    raise AssertionError


@pytest.mark.parametrize("debug", [True, False])
def test_an_error_report_tells_no_value(web: App, settings: Settings, debug: bool) -> None:
    variables_save(app=web, values={"TOKEN": SECRET}, changed_by=None)
    settings.DEBUG = debug
    settings.REDIS_URL = settings.CELERY_BROKER_URL = f"redis://:{SECRET}@redis:6379/0"
    settings.MIST_ENCRYPTION_KEYS = []
    keys = key_ring().keys()
    for report in reports(web):
        assert "ValueError" in report and "breaks" in report
        assert SECRET not in report
        assert django_settings.SECRET_KEY not in report
        assert not any(key in report for key in keys)
