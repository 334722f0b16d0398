"""Settings of the tests: the fake engine, a data directory of their own, nothing from outside."""

import os
import tempfile

for name in [n for n in os.environ if n.startswith("MIST_") or n in ("REDIS_URL", "DATABASE_URL")]:
    del os.environ[name]
os.environ["MIST_DATA_DIR"] = tempfile.mkdtemp(prefix="mist-tests-")
os.environ["MIST_ENGINE"] = "apps.engine.fake"

from mist_project.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MIST_DRAIN_SECONDS = 0.0
MIST_HEALTH_TIMEOUT = 2.0
# A file, because a deployment's lease is renewed from a thread with a connection of its own.
DATABASES["default"]["TEST"] = {"NAME": f"{MIST_DATA_DIR}/test.db"}  # noqa: F405

os.makedirs(os.environ["MIST_DATA_DIR"] + "/static", exist_ok=True)
