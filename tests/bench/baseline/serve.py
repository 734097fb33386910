"""The gateway's web server with the settings module of the environment; the project in it needs none of the gateway's apps."""

from gateway.api.management.commands.run_web import Command

if __name__ == "__main__":
    Command().run_from_argv(["serve", "run_web"])
