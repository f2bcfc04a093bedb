"""What the rule language costs: CPU time per evaluation of a rule, per compilation, and by length of the text.

Run it with ``python benchmarks/rules.py``; it writes nothing. Medians of several rounds, on one core.
"""

from __future__ import annotations

import datetime as dt
import statistics
import time
from typing import TYPE_CHECKING

from llamafarm.conditions import BudgetFacts, ConditionError, Facts, compile_condition
from llamafarm.types import Call

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
ROUND_NS = 20_000_000
NOW = dt.datetime(2026, 11, 18, 14, tzinfo=dt.UTC)
SENTENCE = "The quick brown fox of Straße 7 jumps over ticket AB-123, again and again. "
TYPICAL = (
    "urgent",
    "input.length > 2000",
    'input.contains("code")',
    'input.contains("refund", "invoice", "billing") and not private',
    "input.requires_vision",
    "time.hour >= 22 or time.hour < 6",
    "budget.daily_left < 1 and input.tokens > 500",
    'request.metadata["team"] == "search" and request.model in ["gpt-4o", "gpt-5"]',
    'input.matches("(?i)\\bticket [A-Z]{2}-\\d+")',
)
BY_TEXT = (
    "input.length > 1",
    "input.tokens > 1",
    'input.contains("not there")',
    'input.matches("not (there|here)")',
    "input.is_code",
)
BOMBS = {
    "400 words of time": " or ".join(f"time.hour - {hour} == time.hour - 30" for hour in range(44)),
    "398 prefixes": "!" * 398 + "urgent",
    "4,096 brackets": "(" * 4096,
    "a pattern too large": 'input.matches("(\\pL{30}){30}")',
    "a misspelt name": "input.lenght > 1",
}


def microseconds(work: Callable[[], object]) -> float:
    """Give the median CPU time of one run of `work`."""
    repeats = 1
    while _spent(work, repeats) < ROUND_NS / 4:
        repeats *= 4
    return statistics.median(_spent(work, repeats) / repeats for _ in range(ROUNDS)) / 1000


def _spent(work: Callable[[], object], repeats: int) -> int:
    before = time.process_time_ns()
    for _ in range(repeats):
        work()
    return time.process_time_ns() - before


def facts(characters: int) -> Facts:
    text = (SENTENCE * (characters // len(SENTENCE) + 1))[:characters]
    call = Call(
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]},
        model="gpt-4o",
        tags=frozenset({"last"}),
        metadata={"team": "search"},
    )
    return Facts.of(call, NOW, BudgetFacts(daily_left=0.5))


def row(label: str, *figures: float) -> None:
    print(f"{label:<82}" + "".join(f"{figure:>12,.2f}" for figure in figures))


def rules() -> None:
    print("A rule, prompt of 1,000 characters".ljust(82) + f"{'µs warm':>12}{'µs first':>12}{'µs compile':>12}")
    seen, call = facts(1000), Call({"messages": [{"role": "user", "content": (SENTENCE * 14)[:1000]}]})
    for text in TYPICAL:
        condition = compile_condition(text)
        built = microseconds(lambda: Facts.of(call, NOW))
        first = microseconds(lambda condition=condition: condition(Facts.of(call, NOW))) - built
        compiling = microseconds(lambda text=text: compile_condition(text))
        row(text, microseconds(lambda condition=condition: condition(seen)), first, compiling)
    row("(building the facts of a call)", built)
    row("(nothing: a call of an empty function)", microseconds(lambda: None))


def many_rules() -> None:
    print("\n1,000 rules of bare tags".ljust(83) + f"{'µs':>12}{'µs a rule':>12}")
    texts = [f"tag{number}" for number in range(999)] + ["last"]
    conditions = [compile_condition(text) for text in texts]
    seen = facts(1000)
    every = microseconds(lambda: next(condition for condition in conditions if condition(seen)))
    loading = microseconds(lambda: [compile_condition(text) for text in texts])
    row("evaluated to the last, which holds", every, every / 1000)
    row("compiled", loading, loading / 1000)


def long_texts() -> None:
    print(
        "\nA rule's first look at a text".ljust(83) + f"{'µs 10 kB':>12}{'µs 100 kB':>12}{'µs 1 MB':>12}{'ratio':>12}"
    )
    for text in BY_TEXT:
        condition = compile_condition(text)
        figures = []
        for characters in (10_000, 100_000, 1_000_000):
            body = facts(characters).input._body
            figures.append(microseconds(lambda body=body, condition=condition: condition(Facts.of(Call(body), NOW))))
        row(text, *figures, figures[2] / figures[1])


def bombs() -> None:
    print("\nRefused or compiled at load".ljust(83) + f"{'µs':>12}")
    for label, text in BOMBS.items():

        def load(text: str = text) -> None:
            try:
                compile_condition(text)
            except ConditionError:
                return

        row(label, microseconds(load))


def main() -> None:
    rules()
    many_rules()
    long_texts()
    bombs()


if __name__ == "__main__":
    main()
