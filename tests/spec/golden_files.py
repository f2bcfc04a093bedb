"""Where the golden strategy files are and what they are loaded with."""

import os
from pathlib import Path

import pytest

from llamafarm import spec

GOLDEN = Path(__file__).parent.parent / "golden"
UPDATE = os.environ.get("LLAMAFARM_UPDATE_GOLDEN") == "1"
ENV = {
    "OPENAI_API_KEY": "sk-canary-0123456789",
    "PORT": "9100",
    "TIMEOUT": "12.5",
    "MODEL": "gpt-4o",
    "EMPTY": "",
    "YES": "true",
    "NUMBER_AS_NAME": "42",
    "WORD": "many",
}
FOLDER = Path("/srv/farm")


def files(verdict: str) -> list:
    return [pytest.param(path, id=path.stem) for path in sorted((GOLDEN / verdict).glob("*.yaml"))]


def load(text: str, name: str = "strategies.yaml") -> spec.Document:
    return spec.load_text(text, name, env=ENV, folder=FOLDER)


def compare(path: Path, actual: str) -> None:
    if UPDATE:  # then read the difference: it is what users see
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def read(path: Path) -> str:
    # Bytes, so that carriage returns stay what they are.
    return path.read_bytes().decode("utf-8")
