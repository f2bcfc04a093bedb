"""Print the first fenced block under a heading of the README: `python3 .ci/readme.py "Quick start"`."""

import re
import sys
from pathlib import Path

text = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
found = re.search(rf"^## {re.escape(sys.argv[1])}\n.*?^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
if not found:
    sys.exit(f"README.md has no fenced block under ## {sys.argv[1]}")
print(found[1], end="")
