"""Draws the README's picture, docs/picture.svg, from what the program really prints: `python tools/picture.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
FALLBACK = """\
strategies:
  - name: with_a_backup
    description: A server that is down, and a local model behind it
    components:
      office:
        type: openai_compatible
        config: {provider: openai, base_url: http://localhost:9/v1, default_model: gpt-6-luna}
      here: {type: llamacpp, config: {engine: embedded}}
    fallback_chain: [office, here]
    routing_rules:
      - {condition: private or input.contains("password"), target: here, priority: critical}
"""
MISTAKE = FALLBACK.replace("fallback_chain", "fallbacks").replace("target: here, priority", "target: hear, priority")
STEPS = (
    ("generate", "What is the capital of France?"),
    ("--strategy-file", "team.yaml", "generate", "What is the capital of Japan?"),
    ("--strategy-file", "team.yaml", "explain", "My password is hunter2"),
    ("validate-config", "mistake.yaml"),
)


def main() -> None:
    """Run the steps in a folder of their own and write what they print, as a terminal would show it."""
    console = Console(record=True, width=118, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "team.yaml").write_text(FALLBACK, encoding="utf-8")
        Path(folder, "mistake.yaml").write_text(MISTAKE, encoding="utf-8")
        for step in STEPS:
            shown = " ".join(f'"{word}"' if " " in word else word for word in step)
            console.print(Text.assemble(("$ ", "bold green"), (f"llamafarm {shown}", "bold")))
            ran = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-m", "llamafarm.cli", *step],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            console.print(Text(ran.stdout))
    drawn = console.export_svg(title="llamafarm")
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # a picture loads nothing from anywhere
    (ROOT / "docs" / "picture.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
