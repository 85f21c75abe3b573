#!/usr/bin/env bash
# Compile the .in files to complete, hashed .txt files without index addresses. Run after a change to a .in file.
set -euo pipefail
cd "$(dirname "$0")"
flags=(--quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes)
flags+=(--no-emit-index-url --no-annotate --no-header)
uv pip compile "${flags[@]}" --override cpu.override cpu.in --output-file cpu.txt
uv pip compile "${flags[@]}" gpu.in --output-file gpu.txt
