#!/usr/bin/env bash
# Installs the SDKs that tests/sdk.rs drives into target/sdk. Safe to run again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sdk="${CARGO_TARGET_DIR:-$here/../../../target}/sdk"
mkdir -p "$sdk"
cd "$sdk"

if ! venv/bin/python -c 'import msgraph, azure.identity' 2>/dev/null; then
    python3 -m venv --clear venv
    venv/bin/pip install --quiet --disable-pip-version-check msgraph-sdk azure-identity
fi

if [ ! -d node_modules/@azure/msal-node ]; then
    npm install --silent --no-audit --no-fund --prefix . @azure/msal-node
fi
