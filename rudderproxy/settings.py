"""Django's settings, made from `environment`; what the rooms read is at the end."""

import sys
from pathlib import Path
from typing import Any

from csp.constants import NONE
from django.templatetags.static import static
from django.urls import reverse_lazy

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
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rudderproxy",
    "gateway.audit",
    "gateway.access",
    "gateway.jobs",
    "gateway.api",
    "gateway.mcp_server",
    "gateway.console",
    "gateway.sandbox",
]
MIDDLEWARE = [
    "gateway.api.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "gateway.console.policy.AdminPolicyMiddleware",
    "gateway.console.trouble.AdminTroubleMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "rudderproxy.urls"
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
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS)
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    # Nothing, where nothing is a page. The admin and the documentation have policies of their own.
    "DIRECTIVES": {"default-src": [NONE], "frame-ancestors": [NONE], "base-uri": [NONE], "form-action": [NONE]}
}
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "RudderStack gateway",
    "SITE_HEADER": "RudderStack gateway",
    "SITE_SUBHEADER": "Audited internal API",
    "SITE_SYMBOL": "fact_check",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("console/favicon.svg")}],
    "STYLES": [lambda request: static("console/console.css")],
    "SCRIPTS": [lambda request: static("console/gateway.js")],
    "SITE_URL": "/admin/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    # The palette's history would write searches to the browser's storage, and its search would query every model.
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "items": [
                    {"title": "Calls", "icon": "receipt_long", "link": reverse_lazy("admin:audit_call_changelist")},
                    {"title": "Jobs", "icon": "conveyor_belt", "link": reverse_lazy("admin:jobs_job_changelist")},
                    {"title": "Actions", "icon": "history", "link": reverse_lazy("admin:audit_action_changelist")},
                    {"title": "API keys", "icon": "key", "link": reverse_lazy("admin:access_apikey_changelist")},
                    {"title": "API clients", "icon": "group", "link": reverse_lazy("admin:access_client_changelist")},
                    {"title": "People", "icon": "person", "link": reverse_lazy("admin:auth_user_changelist")},
                ],
            },
        ],
    },
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

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "RudderStack internal-API gateway",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "DESCRIPTION": "The five internal operations of RudderStack's gateway, with access rules, explained refusals and an audit log.",
    "CONTACT": {"name": "The operators of this gateway"},
    "SERVERS": [{"url": "/", "description": "This gateway"}],
    "TAGS": [
        {"name": "operations", "description": "Forwarded to RudderStack, and recorded."},
        {"name": "calls", "description": "The audit log."},
        {"name": "jobs", "description": "Long replays and extracts."},
        {"name": "health", "description": "For load balancers and probes."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "ENUM_NAME_OVERRIDES": {
        "ResultEnum": "gateway.audit.view.STATES",
        "OperationEnum": "gateway.api.serializers.OPERATION_CHOICES",
        "ChannelEnum": "gateway.audit.models.Channel",
        "JobStateEnum": "gateway.jobs.models.State",
        "WebhookStateEnum": "gateway.jobs.models.WebhookState",
        "JobFormatEnum": "gateway.api.jobs.FORMATS",
    },
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
            "basic": {"type": "http", "scheme": "basic", "description": "The API key as user name, any password."},
        }
    },
    "SECURITY": [{"bearer": []}, {"basic": []}],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "validatorUrl": None},
}

# What jobs are made of: uploads and segments. Personal data, so readable by their owner alone.
MEDIA_ROOT = ENVIRONMENT.gateway_var / "jobs"
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if ENVIRONMENT.gateway_jobs_storage:
    _bucket, _, _prefix = ENVIRONMENT.gateway_jobs_storage.removeprefix("s3://").partition("/")
    # What is fetched from there lies in memory up to so many bytes, then in a file.
    _options = {"bucket_name": _bucket, "location": _prefix, "max_memory_size": 16 * 1024 * 1024}
    STORAGES["default"] = {"BACKEND": "gateway.jobs.storage.ObjectStorage", "OPTIONS": _options}
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler", "gateway.ingress.form_file.FormFileHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

CELERY_BROKER_URL: str = ENVIRONMENT.celery_broker_url

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": ENVIRONMENT.gateway_log_level},
    # Tracebacks of failed requests are logged by `gateway.api.problems`, without the values that Django's own would show.
    "loggers": {
        "django.request": {"level": "CRITICAL"},
        "django.server": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "urllib3": {"level": "ERROR"},
        # The SDK has lines for every request, and some quote what clients sent.
        "mcp": {"level": "WARNING"},
    },
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
GATEWAY_MCP_PORT: int = ENVIRONMENT.gateway_mcp_port
GATEWAY_MCP_PROCESSES: int = ENVIRONMENT.gateway_mcp_processes
GATEWAY_MCP_ORIGINS: list[str] = ENVIRONMENT.gateway_mcp_origins
GATEWAY_API_KEY: str = ENVIRONMENT.gateway_api_key
GATEWAY_SANDBOX_PORT: int = ENVIRONMENT.gateway_sandbox_port
GATEWAY_TRUSTED_PROXIES: list[environment.Network] = ENVIRONMENT.gateway_trusted_proxies
GATEWAY_VALIDATION: str = ENVIRONMENT.gateway_validation
GATEWAY_MAX_BODY_BYTES: int = ENVIRONMENT.gateway_max_body_bytes
GATEWAY_BUFFER_BYTES: int = ENVIRONMENT.gateway_buffer_bytes
GATEWAY_CONNECT_SECONDS: float = ENVIRONMENT.gateway_connect_seconds
GATEWAY_READ_SECONDS: float = ENVIRONMENT.gateway_read_seconds
GATEWAY_DEADLINE_SECONDS: float = ENVIRONMENT.gateway_deadline_seconds
GATEWAY_CA_BUNDLE: str = ENVIRONMENT.gateway_ca_bundle
GATEWAY_BREAKER_FAILURES: int = ENVIRONMENT.gateway_breaker_failures
GATEWAY_BREAKER_SECONDS: float = ENVIRONMENT.gateway_breaker_seconds
GATEWAY_MAX_UPLOAD_BYTES: int = ENVIRONMENT.gateway_max_upload_bytes
GATEWAY_LEASE_SECONDS: float = ENVIRONMENT.gateway_lease_seconds
GATEWAY_SEGMENT_DAYS: float = ENVIRONMENT.gateway_segment_days
GATEWAY_WEBHOOK_SECRET: list[str] = ENVIRONMENT.gateway_webhook_secret
GATEWAY_WEBHOOK_NETWORKS: list[environment.Network] = ENVIRONMENT.gateway_webhook_networks
GATEWAY_WEB_PROCESSES: int = ENVIRONMENT.gateway_web_processes
GATEWAY_WEB_THREADS: int = ENVIRONMENT.gateway_web_threads
GATEWAY_BODY_SECONDS: float = ENVIRONMENT.gateway_body_seconds
