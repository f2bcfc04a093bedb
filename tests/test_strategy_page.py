"""docs/strategies.md against the code: every key, its default, and whether it has its behaviour yet."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from llamafarm import spec
from llamafarm.spec.active import is_active
from llamafarm.spec.components import Adapter, AppConfig, AppModel, CloudConfig, Defaults, RateLimit, ServingConfig
from llamafarm.spec.strategy import (
    Alert,
    ChainEntry,
    Constraints,
    LoadBalancing,
    Monitoring,
    Optimization,
    RetryPolicy,
    Rule,
    ServerSettings,
    Strategy,
    StrategyFile,
)
from llamafarm.spec.tuning import BaseModel, Method, RepositoryConfig, Training, TunerConfig

KEYS = spec.keys()
PAGE = Path(__file__).parent.parent / "docs" / "strategies.md"
CONFIG = "strategies[].components{}.config"
BOTH = (f"{CONFIG}<cloud>", f"{CONFIG}<app>")
MODELS = (f"{CONFIG}<cloud>.models{{}}", f"{CONFIG}<app>.models[]")
SHARED_BY_MODELS = ("price", "context_window", "supports")
SECTIONS = {
    "The file": (("",), {"": StrategyFile, "server": ServerSettings}),
    "A strategy": (("strategies[]",), {"": Strategy, "load_balancing": LoadBalancing}),
    "Components": (("strategies[].components{}",), {}),
    "Every target": (BOTH, {"": ServingConfig, "rate_limit": RateLimit}),
    "Request defaults": ((*BOTH, *MODELS), {"": Defaults}),
    "Cloud providers": (BOTH[:1], {"": CloudConfig}),
    "Local applications": (BOTH[1:], {"": AppConfig, "adapters[]": Adapter}),
    "Models of an application": (MODELS[1:], {"": AppModel}),
    "Order": (("strategies[].fallback_chain[]",), {"": ChainEntry}),
    "Rules": (("strategies[].routing_rules[]",), {"": Rule}),
    "optimization": (("strategies[].optimization",), {"": Optimization, "retry_policy": RetryPolicy}),
    "monitoring": (("strategies[].monitoring",), {"": Monitoring, "alerts[]": Alert}),
    "constraints": (("strategies[].constraints",), {"": Constraints}),
    "Fine-tuners": (
        (f"{CONFIG}<tuner>",),
        {"": TunerConfig, "base_model": BaseModel, "method": Method, "training": Training},
    ),
    "Repositories": ((f"{CONFIG}<repository>",), {"": RepositoryConfig}),
}


@dataclasses.dataclass
class Row:
    section: str
    key: str
    later: bool
    default: str

    @property
    def paths(self):
        prefixes, _ = SECTIONS[self.section]
        extra = MODELS if self.section == "Every target" and self.key.split(".")[0] in SHARED_BY_MODELS else ()
        return [f"{prefix}.{self.key}".lstrip(".") for prefix in (*prefixes, *extra)]


def rows():
    """Read the rows of every table whose second column is a value: four cells."""
    section = ""
    for line in PAGE.read_text().splitlines():
        if heading := re.match(r"#+ (.*?)( ◇)?$", line):
            section = heading[1].strip("`")
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        key = re.fullmatch(r"`([a-z0-9_.\[\]]+)`( ◇)?", cells[0]) if len(cells) == 4 else None
        if key and section in SECTIONS:
            yield Row(section, key[1], bool(key[2]), cells[2])


ROWS = list(rows())
NAMED = {path: row for row in ROWS for path in row.paths}


def test_every_key_is_on_the_page():
    missing = [key for key in KEYS if key not in NAMED]
    assert not missing, "docs/strategies.md lacks:\n" + "\n".join(missing)


def test_the_page_has_no_other_keys():
    assert sorted(set(NAMED) - set(KEYS)) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.key}")
def test_what_is_marked_as_later_is_what_has_no_effect_yet(row):
    assert row.later is not any(is_active(path) for path in row.paths if path in KEYS)


def default_of(row):
    parent, _, name = row.key.rpartition(".")
    cls = SECTIONS[row.section][1].get(parent)
    field = next((field for field in dataclasses.fields(cls) if field.name == name), None) if cls else None
    if field is None or row.key == "config":  # a chain entry's config is filled in from what it inherits
        return None
    if field.default is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else None
    if field.default is None or field.default in ((), ""):
        return None
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.key}")
def test_defaults_are_those_of_the_code(row):
    default = default_of(row)
    if default is None:
        assert (
            "`" not in row.default or "`input`" in row.default or row.section in ("Every target", "Local applications")
        )
    else:
        assert row.default == default
