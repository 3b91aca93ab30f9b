#!/bin/sh
# Makes .venv from requirements.lock, or does nothing when it is already what the lock says.
#
# pip, not uv, installs: pip is there wherever CPython is, and follows the machine's own index, mirror and
# certificate settings. The lock names versions and hashes and no index, so it serves behind any mirror.
set -eu
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 12) and sys.implementation.name == "cpython"))'

find_python() {
    for name in python3.12 python3.11 python3; do
        # Run it: a name in PATH can be a pyenv shim with no interpreter behind it.
        if "$name" -c "$supported" >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    found=$(python3 -c 'import platform; print(platform.python_implementation(), platform.python_version())' 2>/dev/null || echo none)
    echo "Impuls needs CPython 3.11 or 3.12 and found $found: install 3.12 (or 3.11) so that python3.12 (or python3.11, python3) is in PATH." >&2
    exit 1
}

stamp=.venv/impuls.stamp
wanted="$(pwd) $(cat requirements.lock pyproject.toml | cksum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c "$supported" 2>/dev/null; then
    exit 0
fi

if ! .venv/bin/python -c "$supported" 2>/dev/null; then
    python=$(find_python)
    echo "Making .venv with $("$python" --version) ..."
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        # Debian ships CPython without ensurepip; a pip outside can still fill the environment.
        rm -rf .venv
        if ! "$python" -m venv --without-pip .venv >/dev/null 2>&1 || ! "$python" -m pip --version >/dev/null 2>&1; then
            rm -rf .venv
            echo "$python cannot make a virtual environment: install its venv package (Debian: apt-get install python3-venv)." >&2
            exit 1
        fi
    fi
fi

if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    pip() { .venv/bin/python -m pip "$@"; }
else
    outside=$(find_python)
    pip() { "$outside" -m pip --python .venv/bin/python "$@"; }
fi

echo "Installing the locked packages ..."
pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
# Without isolation, so that the build backend too is the locked one.
pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
echo "$wanted" >"$stamp"
