"""manage.py in the tests' environment: `python -m tests.tools.run_manage COMMAND …`."""

import sys

from django.core.management import execute_from_command_line

import tests.environment  # noqa: F401 - sets the environment

if __name__ == "__main__":
    execute_from_command_line(["manage.py", *sys.argv[1:]])
