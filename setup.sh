#!/usr/bin/env bash
# Makes .venv with pearbox-edge in it: `bash setup.sh`. With `dev` also the tools that the tests need.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

want="${1:-use}"
case "$want" in
  use) what="." ;;
  dev) what=".[dev]" ;;
  *) echo "setup.sh: unknown word '$want'; it takes none, or dev" >&2; exit 2 ;;
esac

python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || {
  echo "setup.sh: Python 3.11, 3.12 or 3.13 is needed, this is $(python3 --version 2>&1)" >&2
  exit 1
}

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "setup.sh: Python's venv is missing; run: sudo apt-get install python3-venv" >&2
    exit 1
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv
fi

# Nothing to do when this pyproject.toml was installed here before.
stamp=".venv/.installed-$want"
if [ -x .venv/bin/pearbox-edge ] && [ -e "$stamp" ] && cmp -s pyproject.toml "$stamp"; then
  exit 0
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$what"
cp pyproject.toml "$stamp"
