"""``explain``: where a prompt would go and why. Sends nothing and opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.parameters import parameter_options, request_options
from llamafarm.cli.printing import document, dollars, table, write
from llamafarm.cli.prompts import read_prompt, valid
from llamafarm.cli.settings import asking_options, settings_of

if TYPE_CHECKING:
    from llamafarm.planning import Explanation

__all__ = ["explain"]


@click.command
@click.argument("prompt", nargs=-1, metavar="[PROMPT] [-]")
@click.option("--image", multiple=True, metavar="PATH|URL", help="A picture for the prompt; may be repeated.")
@click.option("--system", metavar="TEXT", help="What the model would be told before the prompt.")
@parameter_options
@asking_options
@click.pass_context
def explain(
    context: click.Context,
    /,
    prompt: tuple[str, ...],
    image: tuple[str, ...],
    system: str | None,
    **parameters: Any,
) -> None:
    """Say where PROMPT would go and why: rules, targets, order, tokens, the most it could cost.

    Exits with 0 also where the prompt would be refused; the refusal is said.
    """
    settings = settings_of(context)
    options = request_options(context, **parameters)
    text = read_prompt(prompt, settings)

    from llamafarm.cli.opening import load
    from llamafarm.farm import Farm, make_call
    from llamafarm.farm.messages import messages_of

    system = None if system is None else valid(system, "--system")
    call = make_call({"messages": messages_of(text, system=system, images=image)}, options)
    _, strategy = load(settings)
    explanation = Farm(strategy).explain(call)
    if settings.json:
        document(_document(explanation))
    else:
        write(_text(explanation, strategy.name))


def _document(explanation: Explanation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "rules": [{"condition": r.condition, "target": r.target, "matched": r.matched} for r in explanation.rules],
        "targets": [
            {"name": v.target.name, "model": v.target.model, "eligible": v.eligible, "reasons": list(v.reasons)}
            | ({} if size == explanation.size else {"input_tokens": size.tokens, "input_tokens_by": size.by})
            for v, size in zip(explanation.verdicts, explanation.sizes, strict=True)
        ],
        "order": [target.name for target in explanation.order],
        "input_tokens": explanation.size.tokens,
        "input_tokens_by": explanation.size.by,
        "worst_case_usd": _worst(explanation),
    }
    if explanation.refusal is not None:
        shown["refused"] = str(explanation.refusal)
    return shown


def _worst(explanation: Explanation) -> float | None:
    return None if explanation.worst_case is None else explanation.worst_case / 1e9


def _text(explanation: Explanation, strategy: str) -> str:
    parts = [f"strategy {strategy}\n"]
    if explanation.rules:
        rules = [
            (r.condition, r.target, ("yes" if r.matched else "no") + (f" ({r.note})" if r.note else ""))
            for r in explanation.rules
        ]
        parts.append("rules\n" + _indented(table(("condition", "target", "matches"), rules)))
    targets = [
        (v.target.name, v.target.model or "-", "yes" if v.eligible else f"no: {'; '.join(v.reasons)}")
        for v in explanation.verdicts
    ]
    parts.append("targets\n" + _indented(table(("name", "model", "eligible"), targets)))
    if explanation.refusal is not None:
        parts.append(f"refused\n  {explanation.refusal}\n")
    else:
        parts.append(f"order\n  {' > '.join(target.name for target in explanation.order)}\n")
    parts.append(f"tokens\n  {_counted(explanation)}\n")
    if explanation.refusal is None:
        parts.append(f"cost\n  {_bound(explanation)}\n")
    return "\n".join(parts)


def _counted(explanation: Explanation) -> str:
    """Say how long the prompt is, and by what that was counted."""
    size = explanation.size
    if not size.counted:
        return f"about {size.tokens} in the prompt (estimated)"
    return f"{size.tokens} in the prompt (counted: {size.by})"


def _bound(explanation: Explanation) -> str:
    """Say the most the request could cost, or what would have to be given for a bound."""
    worst = _worst(explanation)
    if worst is not None:
        return f"at most {dollars(worst)}, if every attempt at every target of the order is billed"
    unpriced = [target.name for target in explanation.order if target.price is None]
    if unpriced:
        return f"no bound known: {', '.join(unpriced)} {'has' if len(unpriced) == 1 else 'have'} no price: give price"
    return "no bound known: nothing limits the answer: give --max-tokens"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
