"""The command line, with what it looks up and connects to written to the file that ``EGRESS_SEEN`` names."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from llamafarm.cli import main
from tests.egress.audit import watched

with watched() as seen:
    code = main()
Path(os.environ["EGRESS_SEEN"]).write_text(json.dumps(seen))
sys.exit(code)
