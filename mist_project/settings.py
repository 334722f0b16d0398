"""Django's settings. Everything a person may set is an environment variable (see README)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from apps.engine.data import EngineConfig
from apps.engine.name_facts import parse_server
from apps.engine.public_addresses import check_service
from mist_project import __version__
from mist_project.env import (
    data_dir,
    encryption_keys,
    env,
    instance_id,
    read_settings_file,
    secret_key,
)

MIST_DATA_DIR = data_dir()
MIST_VERSION = __version__
MIST_FROM_FILE = read_settings_file(MIST_DATA_DIR)
BASE_DIR = Path(__file__).resolve().parent.parent

# ------------------------------------------------------------------------------------------ Mist

MIST_PORT = env.int("MIST_PORT", default=8080)
MIST_BIND = env.str("MIST_BIND", default="0.0.0.0")
MIST_HTTP_PORT = env.int("MIST_HTTP_PORT", default=80)
# Empty while it is chosen on a page; apps.system.names says what it is.
MIST_BASE_DOMAIN = env.str("MIST_BASE_DOMAIN", default="").lower().strip(".")
MIST_WILDCARD_DNS = env.str("MIST_WILDCARD_DNS", default="sslip.io").lower().strip(".")
if MIST_WILDCARD_DNS in ("off", "false", "no", "none"):
    MIST_WILDCARD_DNS = ""
MIST_URL = env.str("MIST_URL", default="").rstrip("/")
MIST_DNS_SERVERS = env.list("MIST_DNS_SERVERS", default=[])
MIST_PUBLIC_ADDRESSES = env.list("MIST_PUBLIC_ADDRESSES", default=[])
MIST_ADDRESS_SERVICE = env.str("MIST_ADDRESS_SERVICE", default="").strip()
for _name, _check, _values in (
    ("MIST_DNS_SERVERS", parse_server, MIST_DNS_SERVERS),
    ("MIST_PUBLIC_ADDRESSES", ipaddress.ip_address, MIST_PUBLIC_ADDRESSES),
    ("MIST_ADDRESS_SERVICE", check_service, list(filter(None, [MIST_ADDRESS_SERVICE]))),
):
    for _value in _values:
        try:
            _check(_value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{_name}: {error}") from error
MIST_CONCURRENT_DEPLOYMENTS = env.int("MIST_CONCURRENT_DEPLOYMENTS", default=2)
MIST_CLONE_TIMEOUT = env.float("MIST_CLONE_TIMEOUT", default=600.0)
MIST_BUILD_TIMEOUT = env.float("MIST_BUILD_TIMEOUT", default=1800.0)
MIST_HEALTH_TIMEOUT = env.float("MIST_HEALTH_TIMEOUT", default=60.0)
MIST_DRAIN_SECONDS = env.float("MIST_DRAIN_SECONDS", default=10.0)
MIST_STOP_TIMEOUT = env.int("MIST_STOP_TIMEOUT", default=10)
MIST_KEEP_IMAGES = env.int("MIST_KEEP_IMAGES", default=5)
MIST_KEEP_IMAGES_DAYS = env.int("MIST_KEEP_IMAGES_DAYS", default=90)
MIST_BUILD_CACHE_MB = env.int("MIST_BUILD_CACHE_MB", default=5120)
MIST_CLEANUP_HOURS = env.float("MIST_CLEANUP_HOURS", default=24.0)
MIST_API_REQUESTS_PER_MINUTE = max(1, env.int("MIST_API_REQUESTS_PER_MINUTE", default=120))
MIST_AUDIT_DAYS = env.int("MIST_AUDIT_DAYS", default=365)
MIST_OUTPUT_LOG_MAX_MB = env.int("MIST_OUTPUT_LOG_MAX_MB", default=10)
MIST_PUSH_LIMIT_MB = max(1, env.int("MIST_PUSH_LIMIT_MB", default=1024))
MIST_UPLOAD_LIMIT_MB = max(1, env.int("MIST_UPLOAD_LIMIT_MB", default=256))
MIST_ENGINE = env.str("MIST_ENGINE", default="apps.engine.real")
# Mist's own Traefik is trusted besides: it is on this machine, or is MIST_PROXY_HOST.
MIST_TRUSTED_PROXIES = env.list("MIST_TRUSTED_PROXIES", default=["127.0.0.0/8", "::1/128"])
for _network in MIST_TRUSTED_PROXIES:
    try:
        ipaddress.ip_network(_network, strict=False)
    except ValueError as error:
        raise ImproperlyConfigured(f"MIST_TRUSTED_PROXIES: {error}") from error
MIST_ENGINE_CONFIG = EngineConfig(
    instance=instance_id(MIST_DATA_DIR),
    data_dir=MIST_DATA_DIR,
    docker_host=env.str("DOCKER_HOST", default=""),
    bind=MIST_BIND,
    http_port=MIST_HTTP_PORT,
    https_port=env.int("MIST_HTTPS_PORT", default=443),
    probe_port=env.int("MIST_PROBE_PORT", default=8081),
    proxy_api_port=env.int("MIST_PROXY_API_PORT", default=8082),
    proxy_host=env.str("MIST_PROXY_HOST", default=""),
    dashboard_port=MIST_PORT,
    trusted_proxies=tuple(MIST_TRUSTED_PROXIES),
    acme_ca_file=env.str("MIST_ACME_CA_FILE", default=""),
    network_pool=env.str("MIST_NETWORK_POOL", default="10.192.0.0/12"),
    git_localhost=env.bool("MIST_GIT_LOCALHOST", default=False),
    build_cgroup=env.str("MIST_BUILD_CGROUP", default=""),
    build_memory_mb=env.int("MIST_BUILD_MEMORY_MB", default=0),
    build_cpus=env.float("MIST_BUILD_CPUS", default=0.0),
)
REDIS_URL = env.str("REDIS_URL", default="")
MIST_HOST_PORTS_BELOW_1024 = env.bool("MIST_HOST_PORTS_BELOW_1024", default=False)
EMAIL_URL = env.str("EMAIL_URL", default="")
MIST_EMAIL_FROM = env.str("MIST_EMAIL_FROM", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = MIST_EMAIL_FROM or "mist@localhost"

# ------------------------------------------------------------------------------------- signing in

MIST_REQUIRE_2FA = env.str("MIST_REQUIRE_2FA", default="").strip().lower()
if MIST_REQUIRE_2FA not in ("", "admins", "everyone"):
    raise ImproperlyConfigured("MIST_REQUIRE_2FA is empty, admins or everyone.")
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_DISPLAY = str
MFA_ADAPTER = "apps.accounts.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
# A passkey stands for password and second factor, so it always asks for a finger, a face or a PIN.
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_RECOVERY_CODE_COUNT = 10
# One step to either side for clocks that differ (RFC 6238, 5.2); a code counts once all the same.
MFA_TOTP_TOLERANCE = 1

# ---------------------------------------------------------------------------------------- Django

MIST_KEY_FILE = MIST_DATA_DIR / "encryption.key"
MIST_ENCRYPTION_KEYS = encryption_keys(MIST_DATA_DIR)
SECRET_KEY = secret_key(MIST_DATA_DIR)
DEBUG = env.bool("MIST_DEBUG", default=False)
DEFAULT_EXCEPTION_REPORTER_FILTER = "mist_project.debug.NoValues"
# Which names are Mist's says apps.system.planning, for every request alike: a list could not name
# "any IP address". No link that Mist makes is built from the Host header.
ALLOWED_HOSTS = ["*"]
MIST_ALLOWED_HOSTS = env.list("MIST_ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = [MIST_URL] if MIST_URL else []
ROOT_URLCONF = "mist_project.urls"
ASGI_APPLICATION = "mist_project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
USE_TZ = True
USE_I18N = False
TIME_ZONE = "UTC"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"

INSTALLED_APPS = [
    "apps.accounts",
    "apps.audit",
    "apps.projects",
    "apps.sources",
    "apps.deployments",
    "apps.domains",
    "apps.metrics",
    "apps.storage",
    "apps.api",
    "apps.system",
    "mist_project",
    "channels",
    "django_htmx",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "csp.middleware.CSPMiddleware",
    "apps.system.middleware.surface_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.api.middleware.ApiMiddleware",
    "apps.system.cookies.cookie_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.api.middleware.token_middleware",
    "apps.audit.middleware.audit_middleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.accounts.sessions.session_middleware",
    "apps.accounts.middleware.AccessMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.system.context_processors.shell",
            ],
            "builtins": [
                "apps.system.templatetags.mist",
                "apps.system.templatetags.addresses",
            ],
        },
    }
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{MIST_DATA_DIR}/mist.db")}
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # IMMEDIATE takes the write lock when a transaction begins: with WAL and a busy timeout no
    # writer ever meets "database is locked" half-way.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
            "PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY;"
        ),
    }

# Argon2id with OWASP's minimum (19 MiB, 2 passes): Django's default takes 100 MiB per login.
PASSWORD_HASHERS = [
    "apps.accounts.hashers.LightArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {"user_attributes": ("email", "name")}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]

# ------------------------------------------------------------------------------- cookies, headers

MIST_HTTPS = MIST_URL.startswith("https://")
# Whether a browser came by HTTPS is of each request: by its own name with a certificate it does, by
# the server's address it does not. So is what cookies are called there (apps.system.cookies).
SESSION_COOKIE_NAME = "mist_session"
SESSION_COOKIE_SECURE = MIST_HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 86400
CSRF_COOKIE_NAME = "mist_csrf"
CSRF_COOKIE_SECURE = MIST_HTTPS
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "apps.system.cookies.MessageStorage"
SECURE_SSL_REDIRECT = MIST_HTTPS
# A month: long enough to protect, and too short for browsers' lists of HTTPS-only domains, which
# ask for a year. So the word "preload" binds nobody until MIST_HSTS_SECONDS says a year.
# Not by a name that was chosen on a page: without its certificate plain HTTP has to work again.
SECURE_HSTS_SECONDS = env.int("MIST_HSTS_SECONDS", default=30 * 86400) if MIST_HTTPS else 0
# Not where apps live below the dashboard's own name: they may answer over HTTP only.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool(
    "MIST_HSTS_SUBDOMAINS",
    default=not f".{MIST_BASE_DOMAIN}".endswith(f".{urlsplit(MIST_URL).hostname}"),
)
SECURE_HSTS_PRELOAD = env.bool("MIST_HSTS_PRELOAD", default=SECURE_HSTS_INCLUDE_SUBDOMAINS)
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# What one request may hold besides the limits of mist_project.web_server: bytes of a form without
# files, its fields, and files, of which no form of Mist's has any.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
DATA_UPLOAD_MAX_NUMBER_FILES = 2
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# ----------------------------------------------------------------------------------------- static

STATIC_URL = "/static/"
STATIC_ROOT = MIST_DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = False

# ------------------------------------------------------------------------------- channels, celery

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "mist_project.shared_live.SharedChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "mist_project.live.LocalChannelLayer"}
}

CELERY_BROKER_URL = REDIS_URL or "memory://localhost//"
CELERY_BROKER_TRANSPORT = None if REDIS_URL else "mist_project.broker:Transport"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if REDIS_URL:
    # However long Redis is away, and no page waits for it for long: messages only wake workers.
    CELERY_BROKER_CONNECTION_MAX_RETRIES = None
    CELERY_TASK_PUBLISH_RETRY = False
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2.0, "socket_keepalive": True}
    # What one worker has taken in advance the other could do at once.
    CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {"apps.deployments.tasks.run_deployments": {"queue": "deployments"}}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "reconcile": {"task": "apps.deployments.tasks.reconcile_deployments", "schedule": 30.0},
    # Whether a clean-up is due the database knows: a restart begins no day anew.
    "tidy": {"task": "apps.storage.tasks.tidy_storage", "schedule": 300.0},
    "deliveries": {"task": "apps.sources.tasks.forget_deliveries", "schedule": 3600.0},
    # Looks at two small files.
    "dashboard": {"task": "apps.system.tasks.settle_dashboard", "schedule": 5.0},
    # Of names that are due, found by an index.
    "names": {"task": "apps.domains.tasks.check_due_names", "schedule": 30.0},
    # Cheap while there is nothing to do: a few queries each.
    "issuance": {
        "task": "apps.domains.certificate_tasks.look_after_certificates",
        "schedule": 5.0,
    },
    "certificates": {"task": "apps.domains.tasks.settle_certificates", "schedule": 60.0},
    "served": {"task": "apps.domains.tasks.look_at_certificates", "schedule": 5.0},
    # One query that finds nothing, while no app is of GitHub.
    "reports": {"task": "apps.sources.tasks.send_reports", "schedule": 5.0},
}

# ----------------------------------------------------------------------------------------- logging

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "{asctime} {levelname} {name}{request_id}: {message}", "style": "{"},
    },
    "filters": {
        "request_id": {"()": "apps.audit.logs.RequestIdFilter"},
        "hook_secrets": {"()": "apps.audit.logs.HookSecretFilter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "filters": ["request_id", "hook_secrets"],
        }
    },
    "root": {"handlers": ["console"], "level": env.str("MIST_LOG_LEVEL", default="WARNING")},
    "loggers": {"mist": {"level": env.str("MIST_LOG_LEVEL", default="INFO")}},
}
