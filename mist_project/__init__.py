"""How Mist is put together: settings, URLs, processes.

The Celery app is imported here, because a task sent before it exists would go to a default AMQP
broker without a word.
"""

from mist_project.celery import app as celery_app

__version__ = "0.1.0"
__all__ = ["__version__", "celery_app"]
