"""Debian's Chromium without a window, driven over its own debugging pipe: pages are opened, and asked what they became.

No driver and no package in between: JSON over two pipes (https://chromedevtools.github.io/devtools-protocol/). It is
told to call nobody; what it resolves besides `localhost` is nowhere.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 240
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost , EXCLUDE *.localhost",
    "--remote-debugging-pipe",
)
_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)


class Page:
    """One tab. `run` raises what its JavaScript threw, as an AssertionError."""

    def __init__(self, browser: "_Browser") -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, url: str) -> None:
        """Returns when the page and everything on it has loaded."""
        self.run("window.isLeft = true")  # by which the page that is left is told from the next
        answer = self._call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait("document.readyState === 'complete' && !window.isLeft")

    def run(self, expression: str) -> Any:
        """What an expression, or the promise that it gives, comes to."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until it holds; also over a navigation, on which what was asked is lost."""
        until, last = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < until:
            try:
                if self.run(expression):
                    return
            except (AssertionError, LookupError) as error:
                last = error
            time.sleep(0.05)
        shown = self.run("location.href + ' ' + document.documentElement.innerText.slice(0, 500)")
        raise AssertionError(f"it never became true: {expression}; {last}; the page is {shown}")

    def picture(self) -> bytes:
        """What it looks like, as PNG in base64: for whoever looks at a test by hand."""
        return str(self._call("Page.captureScreenshot")["data"]).encode()

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)


class _Browser:
    def __init__(self, program: str, folder: Path) -> None:
        their_in, self._out = os.pipe()
        self._in, their_out = os.pipe()
        flags = [*_FLAGS, f"--user-data-dir={folder}"] + (["--no-sandbox"] if os.getuid() == 0 else [])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _EXEC, str(their_in), str(their_out), program, *flags],
            pass_fds=(their_in, their_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": str(folder)},
            start_new_session=True,
        )
        os.close(their_in)
        os.close(their_out)
        self._number = 0
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method: str, session: str | None = None, /, **params: Any) -> dict[str, Any]:
        """Raises: LookupError, when the browser does not do it; queue.Empty, when it does not answer."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._answers.get(timeout=PATIENCE_S)
            if answer.get("id") == self._number:
                break
        if "error" in answer:
            raise LookupError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE_S)
        except (OSError, LookupError, queue.Empty, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        self._reader.join(PATIENCE_S)

    def _read(self) -> None:
        with os.fdopen(self._in, "rb") as file:
            waiting = b""
            while chunk := os.read(file.fileno(), 65_536):
                *whole, waiting = (waiting + chunk).split(b"\0")
                for each in whole:
                    self._answers.put(json.loads(each))


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium_page() -> Iterator[Page]:
    """A page of a browser of its own. Skips where there is no Chromium."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium here: apt install chromium")
    folder = Path(tempfile.mkdtemp(prefix="cosset-chromium-"))
    try:
        browser = _Browser(program, folder)
        try:
            yield Page(browser)
        finally:
            browser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
