"""The ideal Runtime API server, in C: made with gcc when it is there, and set to drive a runtime for some seconds."""

import shutil
import subprocess
import time
from pathlib import Path


class NoCompilerError(Exception):
    """There is no gcc here."""


class IdealRuntimeApi:
    """Args: folder: for what is compiled."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise NoCompilerError("the ideal Runtime API server needs gcc")
        self._program = folder / "runtime_api"
        self._folder = folder
        source = Path(__file__).with_suffix(".c")
        subprocess.run([compiler, "-O2", "-o", str(self._program), str(source)], check=True)

    def rate(self, command: list[str], environ: dict[str, str], seconds: float) -> float:
        """Invocations a second of this runtime, once it is warm."""
        place = self._folder / "port"
        place.unlink(missing_ok=True)
        server = subprocess.Popen([str(self._program), str(place), str(seconds)], stdout=subprocess.PIPE, text=True)
        try:
            while not place.exists() or not place.read_text().endswith("\n"):
                time.sleep(0.01)
            address = f"127.0.0.1:{place.read_text().strip()}"
            runtime = subprocess.Popen(
                command, env={**environ, "AWS_LAMBDA_RUNTIME_API": address}, stderr=subprocess.DEVNULL
            )
            try:
                return float(server.communicate(timeout=seconds + 30)[0])
            finally:
                runtime.kill()
                runtime.wait()
        finally:
            server.kill()
            server.wait()
