"""What `info` says of a strategy: its parts as the file has them, and its targets as they stand on this machine now."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from llamafarm.cli.amounts import per_million, tokens
from llamafarm.cli.columns import columns
from llamafarm.cli.local_models import presence
from llamafarm.errors import ModelFileError
from llamafarm.farm import Farm, make_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llamafarm.planning import Verdict
    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Constraints, Strategy
    from llamafarm.types import Price

__all__ = ["describe", "render"]


def describe(document: Document, strategy: Strategy) -> dict[str, Any]:
    """Give everything about a strategy as scripts see it. Sends nothing, connects to nothing."""
    farm = Farm(strategy, environment=os.environ)
    explanation = farm.explain(make_call({"messages": [{"role": "user", "content": ""}]}, {}))
    index = document.file.strategies.index(strategy)
    prefix = f"strategies[{index}]"
    return {
        "name": strategy.name,
        "description": strategy.description,
        "source": document.name,
        "version": document.file.version,
        "components": [
            {"name": part.name, "kind": part.kind, "type": part.type} for part in strategy.components.values()
        ],
        "targets": [_target(verdict) for verdict in explanation.verdicts],
        "order": [target.name for target in farm.routing.order],
        "rules": [
            {"condition": rule.condition, "target": rule.target, "priority": rule.priority}
            for rule in sorted(strategy.routing_rules, key=lambda rule: -rule.rank)
        ],
        "aliases": strategy.aliases,
        "constraints": dict(_given(strategy.constraints)),
        "refused": str(explanation.refusal) if explanation.refusal else None,
        "not_yet_active": [
            finding.path
            for finding in document.findings
            if finding.code == "not-yet-active"
            and (finding.path.startswith(prefix) or "strategies" not in finding.path)
        ],
    }


def _target(verdict: Verdict) -> dict[str, Any]:
    target, reasons = verdict.target, list(verdict.reasons)
    model_file = None
    if target.dialect == "embedded":
        try:
            model_file = presence(target)
        except ModelFileError as error:
            reasons.append(str(error))
    return {
        "name": target.name,
        "provider": target.provider,
        "model": target.model,
        "local": target.local,
        "model_file": model_file,
        "eligible": not reasons,
        "reasons": reasons,
        "price": _price(target.price),
        "context_window": target.context_window,
        "supports": sorted(target.supports) if target.supports is not None else None,
    }


def _price(price: Price | None) -> dict[str, float] | None:
    """Give a price in dollars per million tokens; None where none is known."""
    return None if price is None else {"input": price.input / 1e9, "output": price.output / 1e9}


def _given(constraints: Constraints) -> Iterator[tuple[str, Any]]:
    """Give the constraints that differ from their defaults."""
    for field in dataclasses.fields(constraints):
        value = getattr(constraints, field.name)
        if value != field.default:
            yield field.name, value


def render(description: Mapping[str, Any]) -> str:
    """Lay a description out for reading."""
    version = f", version {description['version']}" if description["version"] else ""
    parts = [
        f"{description['name']} ({description['source']}{version})\n{description['description']}\n",
        "components\n" + _indented(_components(description)),
        "targets\n" + _indented(_targets(description)),
        f"order\n  {' > '.join(description['order'])}\n",
    ]
    if description["rules"]:
        rows = [(rule["condition"], rule["target"], str(rule["priority"])) for rule in description["rules"]]
        parts.append("rules\n" + _indented(columns(("condition", "target", "priority"), rows)))
    for heading in ("aliases", "constraints"):
        if description[heading]:
            said = "".join(f"{name}: {_shown(value)}\n" for name, value in description[heading].items())
            parts.append(f"{heading}\n" + _indented(said))
    if description["not_yet_active"]:
        said = "".join(f"{path}\n" for path in description["not_yet_active"])
        parts.append("not yet active in this version\n" + _indented(said))
    if description["refused"]:
        parts.append(f"now it would refuse a request: {description['refused']}\n")
    return "\n".join(parts)


def _components(description: Mapping[str, Any]) -> str:
    rows = [(part["name"], part["kind"], part["type"]) for part in description["components"]]
    return columns(("name", "kind", "type"), rows)


def _targets(description: Mapping[str, Any]) -> str:
    rows = [
        (
            target["name"],
            f"{target['provider']} {target['model']}",
            *per_million(target["price"]),
            tokens(target["context_window"]),
            _eligibility(target),
        )
        for target in description["targets"]
    ]
    return columns(("name", "model", "in $/M", "out $/M", "window", "eligible now"), rows, right=(2, 3, 4))


def _eligibility(target: Mapping[str, Any]) -> str:
    if not target["eligible"]:
        return f"no: {'; '.join(target['reasons'])}"
    return f"yes; model {target['model_file']}" if target["model_file"] else "yes"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
