"""Keeps a gateway's web process and worker running, as systemd would, and kills them."""

from random import Random

import requests

from tests.processes import Gateway, wait_for
from tests.tree import children, kill, kill_tree, runs


class Supervisor:
    """What a `restart` kills runs again when it returns; the worker is started, and takes its second."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.web = gateway.start_web()
        self.worker = gateway.start_worker()
        self._left: list[int] = []

    def kill_web(self) -> None:
        """The web process with all that it started; it stays away until `start_web`."""
        kill_tree(self.web.pid)
        self.web.wait()

    def start_web(self) -> None:
        """A new one."""
        self.web = self.gateway.start_web()

    def restart_web(self) -> None:
        """The whole of it."""
        self.kill_web()
        self.start_web()

    def restart_child(self, random: Random) -> None:
        """A process that serves for the web process, which starts another, or ends if that happens too often."""
        before = children(self.web.pid) or [self.web.pid]
        victim = random.choice(before)
        kill(victim)
        wait_for(lambda: self.web.poll() is not None or (len(set(children(self.web.pid)) - {victim}) == len(before) and self._answers()))
        if self.web.poll() is not None:
            self.start_web()

    def kill_worker(self) -> None:
        """The worker's first process alone: what it started has to end by itself."""
        self._left += children(self.worker.pid)
        kill(self.worker.pid)
        self.worker.wait()

    def start_worker(self) -> None:
        """A new one."""
        self.worker = self.gateway.start_worker()

    def restart_worker(self) -> None:
        """Both."""
        self.kill_worker()
        self.start_worker()

    def orphans(self) -> list[int]:
        """What killed workers left behind."""
        return [pid for pid in self._left if runs(pid)]

    def _answers(self) -> bool:
        try:
            return self.gateway.get("/healthz").status_code == 200
        except requests.RequestException:
            return False
