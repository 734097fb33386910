"""Django as its users run it: the same web server as the gateway's, by its WSGI side, with as many threads."""

import os

from granian import Granian
from granian.constants import HTTPModes, Interfaces

if __name__ == "__main__":
    Granian(
        "django.core.wsgi:get_wsgi_application",
        factory=True,
        address="127.0.0.1",
        port=int(os.environ["GATEWAY_PORT"]),
        interface=Interfaces.WSGI,
        blocking_threads=64,
        backpressure=1024,
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
    ).serve()
