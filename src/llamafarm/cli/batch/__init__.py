"""``batch``: many prompts in, one line of JSON for each out, as it is answered; may be stopped and gone on with."""

from llamafarm.cli.batch.command import batch

__all__ = ["batch"]
