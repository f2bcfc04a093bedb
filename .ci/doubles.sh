#!/usr/bin/env bash
# Installs into FOLDER (default: .venv-doubles) what `pytest -m doubles` drives: servers of other people's, and the
# vendors' own clients, whose types judge what is sent. Tells how to run them. Needs python3 with venv, and npm.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-.venv-doubles}")
mkdir -p "$folder/node"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check -r .ci/doubles.txt
npm install --prefix "$folder/node" --omit-lockfile-registry-resolved --no-audit --no-fund --no-save --loglevel error \
  @copilotkit/aimock@1.43.0 @anthropic-ai/sdk@1.12.0 openai@7.57.0 zod@4.6.7
echo "installed in $SECONDS s; now: LLAMAFARM_DOUBLES=$folder .venv/bin/pytest -m doubles"
