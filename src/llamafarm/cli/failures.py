"""How a failure is shown: one line on stderr; for scripts, JSON on stdout as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.cli.printing import attempt_documents, document, say
from llamafarm.errors import AllFailedError, AttemptError, ConfigError, LlamaFarmError, Severity, said_by

if TYPE_CHECKING:
    from llamafarm.cli.settings import Settings

__all__ = ["failure_json", "show"]


def failure_json(error: LlamaFarmError) -> dict[str, Any]:
    """Give what scripts see of a failure."""
    shown: dict[str, Any] = {"kind": error.kind, "message": _said(error)}
    if isinstance(error, AttemptError) and error.target:
        shown["target"] = error.target
    if isinstance(error, AllFailedError):
        shown["attempts"] = attempt_documents(error.attempts)
    if isinstance(error, ConfigError):
        shown["findings"] = [str(finding) for finding in error.findings]
    return {"error": shown}


def show(error: LlamaFarmError, settings: Settings) -> None:
    """Print a failure on one line; of a file with several errors each on a line of its own."""
    if settings.json:
        document(failure_json(error))
    wrong = [f for f in error.findings if f.severity is Severity.ERROR] if isinstance(error, ConfigError) else []
    if len(wrong) > 1:
        say("\n".join([f"llamafarm: {wrong[0].file}: {len(wrong)} errors", *map(str, wrong)]))
    else:
        say(f"llamafarm: {' '.join(_said(error).split())}")


def _said(error: LlamaFarmError) -> str:
    return said_by(error.target, error) if isinstance(error, AttemptError) else str(error)
