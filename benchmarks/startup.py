"""What starting costs: `llamafarm --help`, `import llamafarm`, and a Python that does nothing beside them."""

from __future__ import annotations

import resource
import subprocess
import sys

from measure import row

RUNS = 15


def cpu_of_process(*arguments):
    """Give (median, least, most) CPU seconds of a whole process, after one run that warms the disk up."""
    taken = []
    for _ in range(RUNS + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    taken = sorted(taken[1:])
    return taken[len(taken) // 2], taken[0], taken[-1]


def main():
    row("python -c pass", cpu_of_process("-c", "pass"), unit="ms")
    row("import llamafarm (whole process)", cpu_of_process("-c", "import llamafarm"), unit="ms", goal=60)
    row("from llamafarm import Farm (whole process)", cpu_of_process("-c", "from llamafarm import Farm"), unit="ms")
    row("llamafarm --help (whole process)", cpu_of_process("-m", "llamafarm.cli", "--help"), unit="ms", goal=120)


if __name__ == "__main__":
    main()
