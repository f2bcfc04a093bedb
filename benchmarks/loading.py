"""What a strategy file of 1,000 targets and 1,000 rules costs: to load, to resolve, and for each request it plans."""

from __future__ import annotations

from datetime import UTC, datetime

from measure import cpu_of, row

from llamafarm import planning, spec
from llamafarm.hardware import Hardware
from llamafarm.types import Call

SNAPSHOT = planning.Snapshot(datetime(2026, 11, 22, tzinfo=UTC))
HARDWARE = Hardware(cpus=1, memory_bytes=0, gpus=(), reason="")


def text(targets, rules):
    """Write a file with so many chain entries and rules, none of which holds for an untagged request."""
    lines = ["strategies:", "  - name: big", "    description: d", "    components:"]
    lines.append(
        "      first: {type: openai_compatible, config: {provider: openai, api_key: '${K}', default_model: gpt-4o}}"
    )
    lines.append("    fallback_chain:")
    lines.append("      - first")
    for n in range(targets):
        config = f"{{provider: custom, base_url: 'https://h{n}.example/v1', default_model: m}}"
        lines.append(f"      - {{name: t{n}, type: openai_compatible, config: {config}}}")
    lines.append("    routing_rules:" if rules else "    routing_rules: []")
    lines.extend(f"      - {{condition: tag{n} and input.length > {n}, target: t{n % targets}}}" for n in range(rules))
    return "\n".join(lines) + "\n"


def _plan(routing, count):
    for _ in range(count):
        planning.plan(routing, Call({"messages": [{"role": "user", "content": "Hello"}]}), SNAPSHOT)


def main():
    big, small = text(1000, 1000), text(1, 0)
    load = lambda content: spec.load_text(content, env={"K": "k"}).file.strategies[0]  # noqa: E731
    load(small)
    row("load 1 target, no rule", cpu_of(lambda: load(small)), unit="ms")
    row("load 1,000 targets and 1,000 rules", cpu_of(lambda: load(big), rounds=3), unit="ms")
    strategy = load(big)
    row(
        "resolve 1,000 targets and 1,000 rules",
        cpu_of(lambda: planning.resolve(strategy, {}, ["openai"], HARDWARE)),
        unit="ms",
    )
    for name, content in (
        ("1 target, no rule", small),
        ("1,000 targets, no rule", text(1000, 0)),
        ("1,000 rules", big),
    ):
        routing = planning.resolve(load(content), {}, ["openai"], HARDWARE)
        row(f"plan one request: {name}", cpu_of(lambda r=routing: _plan(r, 200)), per=200)


if __name__ == "__main__":
    main()
