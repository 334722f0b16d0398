"""The Celery app: an in-process broker by default, Redis when `REDIS_URL` is set."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mist_project.settings")

app = Celery("mist")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [f"apps.{n}" for n in ("accounts", "deployments", "domains", "sources", "storage", "system")]
)
app.autodiscover_tasks(["apps.domains"], related_name="certificate_tasks")
