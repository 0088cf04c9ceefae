#!/usr/bin/env bash
# Prints where the programs of a Postgres server are, and installs Debian's if there are none and we may.
set -euo pipefail

find_server() {
    local bin
    for bin in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) ${PATH//:/ }; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && { echo "$bin"; return; }
    done
    return 1
}

find_server && exit
if [ "$(id -u)" -ne 0 ]; then
    echo "no Postgres server is installed: apt-get install postgresql" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && apt-get install --yes --no-install-recommends postgresql; } >&2
find_server
