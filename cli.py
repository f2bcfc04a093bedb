"""The program, run from a checkout: ``uv run python cli.py generate "…"``."""

import sys

from llamafarm.cli import main

if __name__ == "__main__":
    sys.exit(main())
