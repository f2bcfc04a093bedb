"""Strategies whose targets are doubles."""

from __future__ import annotations

import textwrap

from llamafarm import Farm
from tests.making import strategy

__all__ = ["answer_of", "farm", "text_of"]


def farm(*doubles, key="right", model="gpt-4o", provider="custom", path="/v1", more=""):
    """Make a farm whose chain is these servers, each with two retries."""
    targets = [
        f"  t{number}: {{type: openai_compatible, config: {{provider: {provider}, api_key: {key}, default_model: {model}, "
        f'base_url: "{double.root}{path}", max_retries: 2, retry_delay: 0.2, timeout: 20}}}}'
        for number, double in enumerate(doubles)
    ]
    chain = ", ".join(f"t{number}" for number in range(len(doubles)))
    text = ["name: one", "description: d", "components:", *targets, f"fallback_chain: [{chain}]", textwrap.dedent(more)]
    return Farm(strategy("\n".join(text)))


async def text_of(stream):
    """Read a stream to its end and give its text."""
    return "".join([chunk.text async for chunk in stream if chunk.index == 0])


async def answer_of(asked, prompt, *, stream, **options):
    """Ask with a text or with messages, streamed or not, and give the whole answer."""
    if not stream:
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return await asked.chat(messages, **options)
    events = asked.stream(prompt, **options)
    text = await text_of(events)
    assert text == events.answer.text
    return events.answer
