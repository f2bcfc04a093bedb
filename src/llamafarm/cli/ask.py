"""``generate`` and ``complete``: one prompt, one answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli.parameters import parameter_options, request_options
from llamafarm.cli.printing import answer_document, document, note, say, summary, write
from llamafarm.cli.prompts import read_prompt, valid
from llamafarm.cli.settings import common_options, settings_of

if TYPE_CHECKING:
    from llamafarm.cli.settings import Settings
    from llamafarm.farm import AnswerStream, Embeddings, Farm
    from llamafarm.types import Answer, Call, Target

__all__ = ["complete", "generate", "note_detours", "note_finish", "show_stream"]


@click.command
@click.argument("prompt", nargs=-1, metavar="[PROMPT] [-]")
@click.option("--image", multiple=True, metavar="PATH|URL", help="A picture for the prompt; may be repeated.")
@click.option("--system", metavar="TEXT", help="What the model is told before the prompt.")
@parameter_options
@click.option("--no-stream", is_flag=True, help="Print the answer only when it is whole.")
@common_options
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
@common_options
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
        if call.stream:
            answer = await show_stream(settings, farm, AnswerStream(call, farm.send))
        else:
            answer = await farm.ask(call)
            note_detours(settings, farm, answer)
            if not settings.json:
                write(answer.text if answer.text.endswith("\n") else answer.text + "\n")
        if settings.json:
            document(answer_document(answer))
        note_finish(settings, answer)
        if settings.verbose:
            say(summary(answer))


async def show_stream(settings: Settings, farm: Farm, stream: AnswerStream) -> Answer:
    """Write an answer to stdout as it comes, and a newline behind it, also behind one that breaks off."""
    last = ""
    noted = False
    async with stream:
        try:
            async for chunk in stream:
                if not noted and chunk.has_token:
                    noted = True
                    note_detours(settings, farm, stream.answer)
                if chunk.text and chunk.index == 0:
                    last = chunk.text
                    write(last)
                if chunk.finish_reason is not None and last and not last.endswith("\n"):
                    last = "\n"  # now: at the end of the stream the log may have its line
                    write(last)
        finally:
            if last and not last.endswith("\n"):
                write("\n")
        return stream.answer


def note_detours(settings: Settings, farm: Farm, answer: Answer | Embeddings) -> None:
    """Say in one line which targets should have answered first and why they did not."""
    failed = {a.target: a.error or a.outcome for a in answer.attempts if a.target != answer.target}
    keyless = {
        target.name: f"{target.api_key.origin} is not set"
        for target in _ahead(settings, farm, answer.target)
        if target.api_key is not None and not target.api_key.is_set
    }
    reasons = "; ".join(f"{name}: {reason}" for name, reason in (keyless | failed).items())
    if reasons:
        note(settings, f"answered by {answer.target}, not {reasons}")


def _ahead(settings: Settings, farm: Farm, answering: str) -> tuple[Target, ...]:
    """Give the targets before one in the default order; none where that order may not be what chose it."""
    order = farm.routing.order
    names = [target.name for target in order]
    chosen = settings.model is not None or any(rule.target.name == answering for rule in farm.routing.rules)
    return () if chosen or answering not in names else order[: names.index(answering)]


def note_finish(settings: Settings, answer: Answer) -> None:
    """Say where an answer is not all that the model had to say, or holds what text does not show."""
    if answer.finish_reason == "length":
        note(settings, "the answer was cut at its limit of tokens (--max-tokens, or the strategy's)")
    elif answer.finish_reason == "content_filter":
        note(settings, f"{answer.target} left out a part of the answer (content filter)")
    if answer.tool_calls and not settings.json:
        note(settings, f"the model asks for {len(answer.tool_calls)} tool calls: --output json shows them")
