"""The manager as a process of its own, for tests."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.leases import answer
from tests.manager.harness import SOURCE, WAIT_S

from tricorn.manager.client import ManagerClient
from tricorn.manager.protocol.calls import Granted


class Served:
    """A manager process, started in `folder`; without a gateway where no port is given."""

    def __init__(
        self, folder: Path, models: dict[str, Any], preload: tuple[str, ...] = (), **settings: Any
    ) -> None:
        self.folder = folder
        self.flags = [] if "port" in settings else ["--without-gateway"]
        self.run_dir = folder / "run"
        (folder / "tricorn.yaml").write_text(
            json.dumps(
                {
                    "models": {
                        name: {
                            "engine": "fake",
                            "engine_args": arguments,
                            "preload": name in preload,
                        }
                        for name, arguments in models.items()
                    },
                    "run_dir": str(self.run_dir),
                    "hf_cache": False,
                    **settings,
                }
            )
        )
        self.output = (folder / "output.txt").open("w")
        self.process = self.start()
        self.client = ManagerClient(self.run_dir)
        self.client.start()

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tricorn.cli", "serve"]
        return subprocess.Popen(
            [*command, "--skip-check", *self.flags],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )

    def text(self) -> str:
        return (self.folder / "output.txt").read_text()

    def lease(self, model: str = "m") -> Granted:
        assert self.client.wait_connected(WAIT_S)
        inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.client.acquire(model, "r", inbox)
        granted = answer(inbox, WAIT_S)
        assert isinstance(granted, Granted)
        return granted

    def worker_pids(self) -> list[int]:
        """Of engine workers, as the manager's log names them."""
        return [int(pid) for pid in set(re.findall(r'"pid": (\d+)[^}]*', self._ready_lines()))]

    def _ready_lines(self) -> str:
        return "\n".join(line for line in self.text().splitlines() if '"READY"' in line)

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()
