"""The command line: one file a command group; each calls the library and prints."""

from __future__ import annotations

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the program; gives its exit code (docs/cli.md has the list)."""
    from llamafarm.cli.app import run

    return run(arguments)
