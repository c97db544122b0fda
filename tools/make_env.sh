#!/usr/bin/env bash
# Makes the virtual environment DIR with namestore (editable) and its tools in it, from the first
# Python that is new enough and whole. Safe to run again, also after an interrupt.
#
# usage: tools/make_env.sh DIR      NAMESTORE_PYTHON=/path/to/python names the Python to use
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1

is_usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${NAMESTORE_PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if is_usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    {
        echo "namestore needs Python 3.11 or newer with its venv module, and none was found"
        echo "(tried: ${NAMESTORE_PYTHON:-python3.11 python3.12 python3.13 python3 python})."
        echo "Install one (Debian and Ubuntu: apt install python3.11 python3.11-venv), or say"
        echo "where it is: make env NAMESTORE_PYTHON=/path/to/python3.11"
    } >&2
    return 1
}

if ! is_usable "$dir/bin/python"; then
    python=$(find_python)
    echo "making $dir with $("$python" --version)"
    "$python" -m venv --clear "$dir"
fi
echo "installing namestore and its tools into $dir (a minute, the first time)"
"$dir/bin/python" -m pip install --quiet --editable '.[dev]'
