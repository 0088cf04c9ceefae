#!/usr/bin/env bash
# Builds the loop around graph-rs-sdk into target/peers, some five minutes the first time. Safe to run again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cargo build --release --locked --manifest-path "$here/Cargo.toml" \
    --target-dir "${CARGO_TARGET_DIR:-$here/../../../target}/peers"
