#!/bin/bash
# Builds the Python wheel with the programs in it. `scripts/build_wheel.sh --help` says what it takes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
for argument in "$@"; do
  [[ $argument == -h || $argument == --help ]] && exec sed -n '/^"""/,/^"""/{s/"""//;p}' scripts/wheel.py
done
install_packages third_party/packages.txt "run" .cache/apt.log
exec /usr/bin/python3 -B scripts/wheel.py "$@"
