"""A Django project as anybody would start it, behind DRF-API-Logger as its documentation says; databases and web server as the gateway's."""

from rudderproxy.settings import (  # noqa: F401 - what the web server reads
    ALLOWED_HOSTS,
    DATABASES,
    GATEWAY_DEADLINE_SECONDS,
    GATEWAY_HOST,
    GATEWAY_PORT,
    GATEWAY_WEB_PROCESSES,
    GATEWAY_WEB_THREADS,
    RUDDERSTACK_BASE_URL,
    SECRET_KEY,
)

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "drf_api_logger"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "drf_api_logger.middleware.api_logger_middleware.APILoggerMiddleware",
]
ROOT_URLCONF = "tests.bench.baseline.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"], "UNAUTHENTICATED_USER": None}
DRF_API_LOGGER_DATABASE = True
