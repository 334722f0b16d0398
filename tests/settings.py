"""Settings of the tests: the fake engine, a data directory of their own, nothing from outside.

TEST_DATABASE_URL=postgres://… runs the same tests on PostgreSQL.
"""

import atexit
import os
import shutil
import tempfile

for name in [n for n in os.environ if n.startswith("MIST_") or n in ("REDIS_URL", "DATABASE_URL")]:
    del os.environ[name]
os.environ["MIST_DATA_DIR"] = tempfile.mkdtemp(prefix="mist-tests-")
atexit.register(shutil.rmtree, os.environ["MIST_DATA_DIR"], ignore_errors=True)
os.environ["MIST_ENGINE"] = "apps.engine.fake"
if database := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = database

from mist_project.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MIST_ALLOWED_HOSTS = ["testserver", "mist.example.com"]
MIST_WILDCARD_DNS = ""
MIST_DRAIN_SECONDS = 0.0
MIST_HEALTH_TIMEOUT = 2.0
if not database:
    # A file, because a deployment's lease is renewed from a thread with a connection of its own.
    DATABASES["default"]["TEST"] = {"NAME": f"{MIST_DATA_DIR}/test.db"}  # noqa: F405

os.makedirs(os.environ["MIST_DATA_DIR"] + "/static", exist_ok=True)
