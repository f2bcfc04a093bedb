"""The pre-configured strategies, each a YAML file beside this one."""

from __future__ import annotations

from importlib import resources

__all__ = ["names", "text"]


def names() -> tuple[str, ...]:
    """Name the shipped strategies, the one for a laptop first."""
    found = sorted(
        item.name.removesuffix(".yaml") for item in resources.files(__name__).iterdir() if item.name.endswith(".yaml")
    )
    return tuple(sorted(found, key=lambda name: (name != "local_development", name)))


def text(name: str) -> str:
    """Give a shipped strategy's file, comments and all. Raises FileNotFoundError for an unknown name."""
    return resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
