"""The environment that the tests run in, set before Django reads its settings: a folder of their own, and no .env of the developer's."""

import atexit
import os
import shutil
import tempfile

for name in [name for name in os.environ if name.startswith(("RUDDERSTACK_", "GATEWAY_", "DJANGO_", "DATABASE_", "CELERY_"))]:
    if name != "DJANGO_SETTINGS_MODULE":
        del os.environ[name]

VAR = tempfile.mkdtemp(prefix="gateway-tests-")
atexit.register(shutil.rmtree, VAR, ignore_errors=True)
os.chmod(VAR, 0o755)

SECRETS = {
    "RUDDERSTACK_WRITE_KEYS": "src-1=wk-1,rep-1=wk-rep-1",
    "DJANGO_SECRET_KEY": "a-secret-key-of-the-tests-that-nobody-else-uses-0123456789",
}
os.environ |= SECRETS | {
    "GATEWAY_ENV_FILE": os.devnull,
    "GATEWAY_VAR": VAR,
    "RUDDERSTACK_SOURCE_ID": "src-1",
    "RUDDERSTACK_REPLAY_SOURCE_ID": "rep-1",
    "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "DJANGO_SETTINGS_MODULE": "rudderproxy.settings",
    "GATEWAY_LOG_LEVEL": "INFO",
    "HYPOTHESIS_STORAGE_DIRECTORY": f"{VAR}/hypothesis",
}
if url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = url
