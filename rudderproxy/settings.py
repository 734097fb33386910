"""Django's settings, made from `environment`; what the rooms read is at the end."""

import sys
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from gateway.audit.database import configure
from rudderproxy import environment

try:
    ENVIRONMENT = environment.read()
except environment.SettingError as error:
    sys.exit(f"settings: {error}")

BASE_DIR: Path = environment.BASE_DIR
SECRET_KEY: str = ENVIRONMENT.django_secret_key
DEBUG: bool = ENVIRONMENT.django_debug
ALLOWED_HOSTS: list[str] = ENVIRONMENT.django_allowed_hosts
CSRF_TRUSTED_ORIGINS: list[str] = ENVIRONMENT.django_csrf_trusted_origins

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "gateway.audit",
    "gateway.access",
    "gateway.api",
    "gateway.console",
    "gateway.sandbox",
]
MIDDLEWARE = [
    "gateway.api.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "rudderproxy.urls"
WSGI_APPLICATION = "rudderproxy.wsgi.application"
APPEND_SLASH = True
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
            ],
        },
    },
]

DATABASES = {"default": configure(ENVIRONMENT.database, ENVIRONMENT.gateway_web_threads)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.gateway_var / "static"
WHITENOISE_USE_FINDERS = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.gateway_trusted_proxies else None
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    # unfold's Alpine needs unsafe-eval and its pages style attributes; the REST paths send a policy of their own that allows nothing.
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "gateway.api.negotiation.AlwaysJson",
    "EXCEPTION_HANDLER": "gateway.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

CELERY_BROKER_URL: str = ENVIRONMENT.celery_broker_url

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": ENVIRONMENT.gateway_log_level},
    # Tracebacks of failed requests are logged by `gateway.api.problems`, without the values that Django's own would show.
    "loggers": {"django.request": {"level": "CRITICAL"}, "django.server": {"level": "WARNING"}},
}

# What the rooms read.
RUDDERSTACK_BASE_URL: str = ENVIRONMENT.rudderstack_base_url
RUDDERSTACK_USER: str = ENVIRONMENT.rudderstack_user
RUDDERSTACK_PASS: str = ENVIRONMENT.rudderstack_pass
RUDDERSTACK_SOURCE_ID: str = ENVIRONMENT.rudderstack_source_id
RUDDERSTACK_REPLAY_SOURCE_ID: str = ENVIRONMENT.rudderstack_replay_source_id
RUDDERSTACK_WRITE_KEYS: dict[str, str] = ENVIRONMENT.rudderstack_write_keys
GATEWAY_VAR: Path = ENVIRONMENT.gateway_var
GATEWAY_HOST: str = ENVIRONMENT.gateway_host
GATEWAY_PORT: int = ENVIRONMENT.gateway_port
GATEWAY_SANDBOX_PORT: int = ENVIRONMENT.gateway_sandbox_port
GATEWAY_TRUSTED_PROXIES: list[environment.Network] = ENVIRONMENT.gateway_trusted_proxies
GATEWAY_VALIDATION: str = ENVIRONMENT.gateway_validation
GATEWAY_MAX_BODY_BYTES: int = ENVIRONMENT.gateway_max_body_bytes
GATEWAY_CONNECT_SECONDS: float = ENVIRONMENT.gateway_connect_seconds
GATEWAY_READ_SECONDS: float = ENVIRONMENT.gateway_read_seconds
GATEWAY_DEADLINE_SECONDS: float = ENVIRONMENT.gateway_deadline_seconds
GATEWAY_CA_BUNDLE: str = ENVIRONMENT.gateway_ca_bundle
GATEWAY_BREAKER_FAILURES: int = ENVIRONMENT.gateway_breaker_failures
GATEWAY_BREAKER_SECONDS: float = ENVIRONMENT.gateway_breaker_seconds
GATEWAY_WEB_PROCESSES: int = ENVIRONMENT.gateway_web_processes
GATEWAY_BODY_SECONDS: float = ENVIRONMENT.gateway_body_seconds
