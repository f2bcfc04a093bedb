"""``python -m llamafarm``: the program, where its command is not on the path."""

import sys

from llamafarm.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
