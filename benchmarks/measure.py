"""How the benchmarks measure: CPU time, the median of several rounds; the wall clock of a shared machine lies."""

from __future__ import annotations

import gc
import statistics
import time


def cpu_of(run, *, rounds=7):
    """Give (median, least, most) CPU seconds of `run()`."""
    taken = []
    for _ in range(rounds):
        gc.collect()
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return statistics.median(taken), min(taken), max(taken)


def row(name, figures, *, per=1, unit="µs", goal=None):
    """Print one line of the table; `figures` are seconds for `per` things."""
    scale = {"µs": 1e6, "ms": 1e3}[unit] / per
    median, least, most = (figure * scale for figure in figures)
    wanted = f"   goal {goal} {unit}" if goal else ""
    print(f"{name:<58}{median:>10.1f} {unit}  ({least:.1f} to {most:.1f}){wanted}", flush=True)
