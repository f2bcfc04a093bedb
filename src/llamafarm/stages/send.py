"""Sends one attempt to its upstream, waits for its first token, and records what becomes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import LlamaFarmError
from llamafarm.providers.stream import choices_of
from llamafarm.reply import Reply, defect
from llamafarm.stages.verify import verified
from llamafarm.types import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.types import Attempt, Outcome, Upstream

__all__ = ["Send"]


@dataclass(frozen=True, slots=True)
class Send:
    """The end of the line: behind it is only the target."""

    upstreams: Mapping[str, Upstream]
    """By dialect."""

    async def __call__(self, attempt: Attempt) -> Reply:
        """Send and return once the first token is in; raises what the upstream raises before it."""
        started = time.monotonic()
        target = attempt.target
        record = AttemptRecord(target.name, target.model, "ok", None, 0.0)
        attempt.record = record
        attempt.notes.clear()
        attempt.call.attempts.append(record)
        try:
            events = await self.upstreams[target.dialect].send(attempt)
            reply = Reply(verified(events, attempt), target, record, choices=choices_of(attempt.body))
            await reply.prime()
        except LlamaFarmError as error:
            _close(record, started, error)
            raise
        except Exception as error:
            failure = defect(target, error)
            _close(record, started, failure)
            raise failure from error
        except BaseException:
            record.outcome, record.ms = "abandoned", (time.monotonic() - started) * 1e3
            raise
        finally:
            record.notes = tuple(attempt.notes)
        reply.on_end(lambda outcome: _close(record, started, outcome.error, outcome))
        return reply


def _close(record: AttemptRecord, started: float, error: LlamaFarmError | None, outcome: Outcome | None = None) -> None:
    record.ms = (time.monotonic() - started) * 1e3
    if error is not None:
        record.outcome, record.error = error.kind, str(error)
    elif outcome is not None and outcome.ended != "complete":
        record.outcome = outcome.ended
