"""A virtual environment for each peer, made on demand under `.local/peers/` from its own locked requirements.

Where there is a `requirements/NAME.xml`, it lists jars, which Maven puts into the environment's folder `jars`.  To take
newer versions: write them in `requirements/NAME.in`, and compile it as `make lock` does the project's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from benchmarks.machine import ROOT

REQUIREMENTS = Path(__file__).parent / "requirements"
SECONDS_MAX = 900.0


class NotInstalled(RuntimeError):
    """There can be no such environment here; the message says why."""


def python_of(name: str, requirements_in: Path = REQUIREMENTS) -> Path:
    """The interpreter of the environment; made where it is missing, or no longer what the requirements say."""
    folder = ROOT / ".local" / "peers" / name
    requirements, stamp = requirements_in / f"{name}.txt", folder / "impuls.stamp"
    jars = requirements_in / f"{name}.xml"
    listed = requirements.read_bytes() + (jars.read_bytes() if jars.exists() else b"")
    wanted = sha256(listed + sys.version.encode() + str(folder).encode()).hexdigest()
    python = folder / "bin" / "python"
    if not (stamp.is_file() and stamp.read_text() == wanted and python.exists()):
        print(f"installing {name} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        if jars.exists():
            _check_java()
        _uv("venv", "--python", sys.executable, str(folder))
        _uv("pip", "sync", "--require-hashes", "--python", str(python), str(requirements))
        if jars.exists():
            copy = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}")
            _install(["mvn", "-B", "-q", "-f", str(jars), *copy])
        stamp.write_text(wanted)
    return python


def version_of(name: str, package: str) -> str:
    """As the requirements pin it."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE)
    assert found is not None, f"{package} is not in {name}.txt"
    return found[1]


def _check_java() -> None:
    missing = [command for command in ("java", "mvn") if shutil.which(command) is None]
    if missing:
        raise NotInstalled(f"it needs {' and '.join(missing)} (Debian: apt-get install openjdk-17-jre-headless maven)")


def _uv(*arguments: str) -> None:
    _install([sys.executable, "-m", "uv", "--quiet", *arguments])


def _install(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"not installed within {SECONDS_MAX:.0f} seconds") from error
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        lines = said.splitlines() or [f"{Path(command[0]).name} ended with {done.returncode}"]
        raise NotInstalled(lines[-1])
