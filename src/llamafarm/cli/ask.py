"""``generate`` and ``complete``: one prompt, one answer."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.caveats import note_left_out, note_resumed, note_skipped, writers
from llamafarm.cli.parameters import parameter_options, request_options
from llamafarm.cli.printing import Pieces, answer_document, counted, document, note, say, summary, write
from llamafarm.cli.prompts import read_prompt, valid
from llamafarm.cli.settings import asking_options, settings_of
from llamafarm.errors import AllFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.cli.settings import Settings
    from llamafarm.farm import AnswerStream, Embeddings, Farm, Images
    from llamafarm.types import Answer, Call, Target

__all__ = ["complete", "generate", "note_detours", "note_finish", "noting_passed_over", "show_stream"]


@click.command
@click.argument("prompt", nargs=-1, metavar="[PROMPT] [-]")
@click.option("--image", multiple=True, metavar="PATH|URL", help="A picture for the prompt; may be repeated.")
@click.option("--system", metavar="TEXT", help="What the model is told before the prompt.")
@parameter_options
@click.option("--no-stream", is_flag=True, help="Print the answer only when it is whole.")
@asking_options
@click.pass_context
def generate(
    context: click.Context,
    /,
    prompt: tuple[str, ...],
    image: tuple[str, ...],
    system: str | None,
    no_stream: bool,
    **parameters: Any,
) -> None:
    """Answer PROMPT; ``-`` or no PROMPT reads it from standard input."""
    settings = settings_of(context)
    options = request_options(context, **parameters)
    text = read_prompt(prompt, settings)

    from llamafarm.farm import make_call
    from llamafarm.farm.messages import messages_of

    system = None if system is None else valid(system, "--system")
    content = {"messages": messages_of(text, system=system, images=image)}
    call = make_call(content, options, stream=not (no_stream or settings.json))
    asyncio.run(_ask(settings, call))


@click.command
@click.argument("prompt", nargs=-1, metavar="[PROMPT] [-]")
@click.option("--suffix", metavar="TEXT", help="What comes after the text that is to be written.")
@parameter_options
@click.option("--no-stream", is_flag=True, help="Print the text only when it is whole.")
@asking_options
@click.pass_context
def complete(
    context: click.Context, /, prompt: tuple[str, ...], suffix: str | None, no_stream: bool, **parameters: Any
) -> None:
    """Continue the text PROMPT; ``-`` or no PROMPT reads it from standard input."""
    settings = settings_of(context)
    options = request_options(context, **parameters)
    if suffix is not None:
        options["suffix"] = valid(suffix, "--suffix")
    text = read_prompt(prompt, settings)

    from llamafarm.errors import BadCallError
    from llamafarm.farm import make_call
    from llamafarm.types import Operation

    if not text:
        raise BadCallError("the prompt is empty")
    stream = not (no_stream or settings.json)
    call = make_call({"prompt": text}, options, operation=Operation.COMPLETION, stream=stream)
    asyncio.run(_ask(settings, call))


async def _ask(settings: Settings, call: Call) -> None:
    from llamafarm.cli.opening import opened
    from llamafarm.farm import AnswerStream

    async with opened(settings) as farm:
        with noting_passed_over(settings, farm, call):
            if call.stream:
                answer = await show_stream(settings, farm, AnswerStream(call, farm.send))
            else:
                answer = await farm.ask(call)
        if not call.stream:
            note_detours(settings, farm, answer)
            if not settings.json:
                write(answer.text if answer.text.endswith("\n") else answer.text + "\n")
        if settings.json:
            document(answer_document(answer))
        note_finish(settings, answer, call)
        if settings.tells_more:
            say(summary(answer))


async def show_stream(settings: Settings, farm: Farm, stream: AnswerStream) -> Answer:
    """Write an answer to stdout as it comes, and a newline behind it, also behind one that breaks off."""
    begun = ""
    async with stream:
        with Pieces() as shown:
            async for chunk in stream:
                if not begun and chunk.has_token:
                    begun = stream.answer.target
                    note_detours(settings, farm, stream.answer)
                if chunk.text and chunk.index == 0:
                    shown.write(chunk.text)
        note_resumed(settings, begun, stream.answer)
        return stream.answer


def note_detours(settings: Settings, farm: Farm, answer: Answer | Embeddings | Images) -> None:
    """Say in one line which targets should have answered first and why they did not."""
    failed = {a.target: a.error or a.outcome for a in answer.attempts if a.target != answer.target}
    keyless = {
        target.name: target.api_key.why_unset
        for target in _ahead(settings, farm, answer.target)
        if target.api_key is not None and not target.api_key.is_set
    }
    reasons = "; ".join(f"{name}: {reason}" for name, reason in (keyless | failed).items())
    if reasons:
        note(settings, f"answered by {answer.target}, not {reasons}")


@contextmanager
def noting_passed_over(settings: Settings, farm: Farm, call: Call) -> Iterator[None]:
    """Where every target that was asked fails, say which others of the default order were not asked, and why."""
    try:
        yield
    except AllFailedError:
        explanation = farm.explain(call)
        alone = call.model is not None and "/" in call.model and call.model not in farm.routing.named
        if not alone and not any(rule.matched for rule in explanation.rules):
            order = {target.identity for target in farm.routing.order}
            passed = [v for v in explanation.verdicts if not v.eligible and v.target.identity in order]
            if passed:
                reasons = "; ".join(f"{v.target.name}: {', '.join(v.reasons)}" for v in passed)
                note(settings, f"not asked: {reasons}")
        raise


def _ahead(settings: Settings, farm: Farm, answering: str) -> tuple[Target, ...]:
    """Give the targets before one in the default order; none where that order may not be what chose it."""
    order = farm.routing.order
    names = [target.name for target in order]
    chosen = settings.model is not None or any(rule.target.name == answering for rule in farm.routing.rules)
    return () if chosen or answering not in names else order[: names.index(answering)]


def note_finish(settings: Settings, answer: Answer, call: Call) -> None:
    """Say where an answer is not all that was asked for or that the model had to say, or what text does not show."""
    note_skipped(settings, answer)
    note_left_out(settings, writers(answer), call.body)
    if answer.finish_reason == "length":
        note(settings, "the answer was cut at its limit of tokens (--max-tokens, or the strategy's)")
    elif answer.finish_reason == "content_filter":
        note(settings, f"{answer.target} left out a part of the answer (content filter)")
    if answer.tool_calls and not settings.json:
        note(settings, f"the model asks for {counted(len(answer.tool_calls), 'tool call')}: --output json shows them")
