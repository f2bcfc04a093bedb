"""Every benchmark in one run: ``python benchmarks``."""

from __future__ import annotations

import platform

import gateway
import library
import loading
import rules
import size
import startup


def main():
    print(f"Python {platform.python_version()} on {platform.machine()}; medians of CPU time (least to most)\n")
    for benchmark in (startup, library, rules, loading, gateway, size):
        print(benchmark.__doc__.strip().splitlines()[0])
        benchmark.main()
        print()


if __name__ == "__main__":
    main()
