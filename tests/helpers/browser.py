# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window, driven by its own debugging protocol: pages are opened, clicked and read."""

import json
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
FLAGS += ("--remote-debugging-port=0", "--window-size=1400,1000", "about:blank")
PATIENCE = 300.0


def executable() -> str:
    """Path of a browser; a test without one is skipped with the remedy."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        message = "needs a browser: apt-get install chromium (or put one of them on the PATH: " + ", ".join(NAMES) + ")"
        pytest.skip(message)
    return found


class Browser:
    """One tab of a browser that ends with the ``with`` block. ``folder`` holds its profile."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._number = folder, 0

    def __enter__(self) -> "Browser":
        command = [executable(), *FLAGS[:-1], f"--user-data-dir={self.folder}", FLAGS[-1]]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Its port and the path of its socket, once both lines are written.
        port, path = self._wait(self._address)
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None))
        tab = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self._send("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait()

    def _send(self, method: str, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session := getattr(self, "_session", None):
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            reply = json.loads(self._socket.recv(timeout=PATIENCE))
            if reply.get("id") == self._number:
                assert "error" not in reply, reply
                return reply["result"]

    def _address(self) -> list[str]:
        lines = (self.folder / "DevToolsActivePort").read_text().splitlines()
        return lines if len(lines) == 2 else []

    @staticmethod
    def _wait(ask):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if answer := ask():
                    return answer
            except FileNotFoundError:
                pass
            assert time.monotonic() < deadline, "the browser did not answer in time"
            time.sleep(0.05)

    def run(self, script: str):
        """The value of a JavaScript expression in the page."""
        done = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def open(self, page: Path) -> float:
        """Open a page from disk; returns the seconds of processor time that its thread has taken when it is loaded."""
        self._send("Performance.enable", timeDomain="threadTicks")
        self._send("Page.navigate", url=page.resolve().as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")
        return self.task_time()

    def task_time(self) -> float:
        """Seconds of processor time of the page's thread since the page was opened."""
        metrics = {entry["name"]: entry["value"] for entry in self._send("Performance.getMetrics")["metrics"]}
        return metrics["TaskDuration"]

    def wait(self, script: str) -> None:
        """Wait until an expression is true."""
        self._wait(lambda: self.run(f"Boolean({script})"))

    def click(self, selector: str) -> None:
        """Press and release the mouse on the middle of an element."""
        middle = (
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]})()"
        )
        x, y = self.run(middle)
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector: str, value: str) -> None:
        """Set a field as a person does: value, then the event of an input."""
        self.run(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
            "e.dispatchEvent(new Event('input', {bubbles: true}))})()"
        )
