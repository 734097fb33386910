"""Celery's settings. Results are ignored and messages acknowledged early: recovery reads the database, not the broker."""

from pathlib import Path

from django.conf import settings

_broker: Path = settings.GATEWAY_VAR / "broker"

_embedded = {
    "data_folder_in": str(_broker / "messages"),
    "data_folder_out": str(_broker / "messages"),
    "control_folder": str(_broker / "control"),
    "store_processed": False,
}
# Whoever sends a message has a caller waiting, and nothing depends on it: a broker that is away or frozen is given up soon.
_soon = {"max_retries": 0}
_redis = {"socket_connect_timeout": 1, "socket_timeout": 2}

broker_url: str = settings.CELERY_BROKER_URL or "embedded://localhost/"
broker_transport_options = _embedded if not settings.CELERY_BROKER_URL else _soon | (_redis if broker_url.startswith("redis") else {})
broker_connection_timeout = 1
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
task_ignore_result = True
task_acks_late = False
task_serializer = "json"
accept_content = ["json"]
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_send_task_events = False
worker_enable_remote_control = False
enable_utc = True
timezone = "UTC"
beat_schedule_filename = str(_broker / "beat-schedule")
beat_max_loop_interval = 1
beat_schedule = {
    "close-overdue-calls": {
        "task": "gateway.audit.tasks.close_overdue_calls",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "ring-for-jobs": {
        "task": "gateway.jobs.tasks.ring",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "tell-ends-of-jobs": {
        "task": "gateway.jobs.tasks.notify",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "clear-jobs": {
        "task": "gateway.jobs.tasks.clear",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
}
