"""Ask several questions at the same time and print each answer as it streams to its end."""

import asyncio

from llamafarm import Farm

QUESTIONS = ("What is the capital of France?", "What is the capital of Italy?", "What is the capital of Spain?")


async def ask(farm: Farm, question: str) -> None:
    async with farm.stream(question, temperature=0, max_tokens=30) as stream:
        async for _ in stream:
            pass  # chunk.text has the next piece, for a program that shows it
    print(f"{question} {stream.answer.text.strip()}")


async def main() -> None:
    async with Farm.load(strategy="local_development") as farm:
        await asyncio.gather(*(ask(farm, question) for question in QUESTIONS))


asyncio.run(main())
