"""How much an installation takes, packages and megabytes, with and without the embedded engine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent


def measured(requirement):
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        site = next(Path(folder).rglob("site-packages"))
        before = {path.name for path in site.iterdir()}
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)
        added = [path for path in site.iterdir() if path.name not in before]
        files = [file for path in added for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
        return sum(path.name.endswith(".dist-info") for path in added), sum(file.stat().st_size for file in files)


def main():
    for name, requirement in (("llamafarm", str(ROOT)), ("llamafarm[embedded]", f"{ROOT}[embedded]")):
        packages, size = measured(requirement)
        print(f"{name:<58}{packages:>10} packages, {size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
