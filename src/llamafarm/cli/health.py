"""`health-check`: asks every target of a strategy whether it could answer; no prompt is sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli import printing
from llamafarm.cli.columns import columns
from llamafarm.cli.settings import common_options, settings_of
from llamafarm.errors import LlamaFarmError, NoTargetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.farm import Farm
    from llamafarm.planning import Verdict

__all__ = ["health_check"]

_PATIENCE = 10.0
"""Seconds a target may take to say whether it could answer."""
_SOME_DOWN = 1


@dataclass(frozen=True, slots=True)
class _Health:
    """What is known of one target."""

    name: str
    provider: str
    model: str
    eligible: bool
    ok: bool
    detail: str


@click.command("health-check")
@click.argument("name", required=False)
@common_options
@click.pass_context
def health_check(context: click.Context, /, name: str | None) -> None:
    """Ask every target of a strategy whether it could answer; no prompt is sent.

    Without NAME: of the one the other commands would use.
    Exit code 0 where every eligible target could, 1 where one could not, 3 where the strategy would send nothing.
    """
    from llamafarm.farm import Farm, make_call

    settings = settings_of(context)
    farm = Farm.load(settings.strategy_file, strategy=settings.named(name))
    call = make_call({"messages": [{"role": "user", "content": ""}]}, {})
    explanation = farm.explain(call)
    refused = str(explanation.refusal) if explanation.refusal else None
    found = asyncio.run(_ask_all(farm, explanation.verdicts))
    if settings.json:
        targets = [_document(health) for health in found]
        printing.document({"strategy": farm.strategy.name, "targets": targets, "refused": refused})
    else:
        rows = [(health.name, f"{health.provider} {health.model}", _word(health), health.detail) for health in found]
        printing.write(columns((farm.strategy.name, "model", "", "detail"), rows))
        if refused:
            printing.note(settings, f"requests are refused: {refused}")
    context.exit(NoTargetError.exit_code if refused else _exit_code(found))


async def _ask_all(farm: Farm, verdicts: Iterable[Verdict]) -> list[_Health]:
    async with farm:
        return list(await asyncio.gather(*(_ask(farm, verdict) for verdict in verdicts)))


async def _ask(farm: Farm, verdict: Verdict) -> _Health:
    """Ask one target. What the file rules out is never connected to."""
    target = verdict.target
    if not verdict.eligible:
        return _Health(target.name, target.provider, target.model, False, False, "; ".join(verdict.reasons))
    try:
        async with asyncio.timeout(_PATIENCE):
            status = await farm.check(target)
    except TimeoutError:
        return _Health(target.name, target.provider, target.model, True, False, f"no answer within {_PATIENCE:g} s")
    except LlamaFarmError as error:
        return _Health(target.name, target.provider, target.model, True, False, str(error))
    return _Health(target.name, target.provider, target.model, True, status.ok, status.detail)


def _document(health: _Health) -> dict[str, Any]:
    return {
        "name": health.name,
        "provider": health.provider,
        "model": health.model,
        "eligible": health.eligible,
        "ok": health.ok,
        "detail": health.detail,
    }


def _word(health: _Health) -> str:
    if not health.eligible:
        return "passed over"
    return "ok" if health.ok else "failed"


def _exit_code(found: Iterable[_Health]) -> int:
    return 0 if all(health.ok for health in found if health.eligible) else _SOME_DOWN
