"""Every code block of the documentation, carried out as a reader would: bash and python run, strategies are checked."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from llamafarm import spec
from llamafarm.check import check

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_HERE = ("README.md: Quick start", "README.md: Tests")
"""Sections whose first block installs the program itself; the checks before a release run those."""
FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
SHELL = ["bash", "-euo", "pipefail", "-c"]


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    section: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page):
    section, opened, lines = "", None, []
    seen = set()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened, lines = (number, fence[2], fence[1]), []
        elif fence:
            where = f"{page.name}: {section}"
            if where not in NOT_HERE or where in seen:
                yield Block(page, opened[0], opened[1], "\n".join(lines) + "\n", section)
            seen.add(where)
            opened = None
        elif opened is not None:
            lines.append(line.removeprefix(opened[2]))
        elif line.startswith("#"):
            section = line.lstrip("# ")
    assert opened is None, f"{page.name}:{opened[0]}: this block is never closed"


BLOCKS = [block for page in PAGES if page.exists() for block in blocks_of(page)]
RUN = {page: [b for b in BLOCKS if b.page == page and b.language in ("bash", "python")] for page in PAGES}
STRATEGIES = [b for b in BLOCKS if b.language == "yaml" and b.text.startswith(("strategies:", "version:"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def test_every_block_says_what_it_is():
    known = ("bash", "console", "json", "python", "text", "toml", "yaml")
    assert [str(block) for block in BLOCKS if block.language not in known] == []


@pytest.mark.real
@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run_one_after_the_other(page, tmp_path, models_home, smollm2):
    keys = [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]
    inherited = {name: value for name, value in os.environ.items() if name not in keys}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    sessions = []
    try:
        for block in RUN[page]:
            command = [*SHELL, block.text] if block.language == "bash" else [sys.executable, "-c", block.text]
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                env={**inherited, "PATH": path, "LLAMAFARM_HOME": str(models_home)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            sessions.append(process.pid)
            said, complaint = process.communicate(timeout=180)
            assert process.returncode == 0, f"{block}:\n{block.text}\n{said}\n{complaint}"
            assert "Traceback" not in complaint
    finally:
        for session in sessions:  # a block may have left something running for the next
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)


@pytest.mark.parametrize("block", STRATEGIES, ids=str)
def test_the_strategies_of_a_page_are_sound(block):
    assert_sound(block.text, str(block))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_are_sound(file):
    assert_sound(file.read_text(encoding="utf-8"), file.name)


def assert_sound(text, name):
    document = spec.load_text(text, name, env={})
    found = (*document.findings, *check(document, {}))
    assert [str(finding) for finding in found if finding.severity != "info"] == []


def links():
    for page in PAGES:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", link):
                yield page, link


@pytest.mark.parametrize(
    ("page", "link"), list(links()), ids=lambda part: part.name if isinstance(part, Path) else part
)
def test_links_between_pages_lead_somewhere(page, link):
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    assert target.exists(), f"{page.name} links to {link}"
    if anchor:
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
        assert anchor in anchors, f"{page.name} links to {link}"
