"""Carries a batch out: some lines at a time, each recorded as it ends, stopped without losing one."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llamafarm.cli.batch.items import UNFIT
from llamafarm.cli.printing import answer_document, attempt_documents, counted, note
from llamafarm.errors import ConfigError, LlamaFarmError
from llamafarm.farm.answers import cost_usd
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from llamafarm.cli.batch.answers import AnswerFile, Answers
    from llamafarm.cli.batch.items import Items
    from llamafarm.cli.batch.lines import Line
    from llamafarm.cli.batch.meter import Meter
    from llamafarm.cli.settings import Settings
    from llamafarm.farm import Farm
    from llamafarm.types import Answer, Call

__all__ = ["Run", "changed"]


def changed(file: AnswerFile, name: str, line: Line) -> ConfigError:
    """Make the error for an input line that is not the one that was answered."""
    return ConfigError(
        f"{name}:{line.number}: not the line that {file.name} has an answer for: the input, the options or the strategy"
        " have changed;"
        " give another --out, or --redo-changed to ask changed lines again"
    )


class Run:
    """One run over the lines that are not answered yet."""

    def __init__(
        self,
        settings: Settings,
        farm: Farm,
        items: Items,
        *,
        lines: AsyncIterator[Line],
        name: str,
        file: AnswerFile | None,
    ) -> None:
        self._settings = settings
        self._farm = farm
        self._items = items
        self._lines = lines
        self._name = name
        self._file = file
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._busy = 0

    @property
    def stopped(self) -> bool:
        """Whether a signal ended it early."""
        return self._stop.is_set()

    async def carry_out(self, answers: Answers, meter: Meter, parallel: int) -> None:
        """Ask, `parallel` lines at a time, until the input or a signal ends it; raises what ends it otherwise."""
        most = parallel if meter.left is None else max(1, min(parallel, meter.left))
        workers = [asyncio.create_task(self._work(answers, meter)) for _ in range(most)]
        with self._signals(workers):
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            failure = next((w.exception() for w in done if not w.cancelled() and w.exception()), None)
            for worker in workers:
                if failure is not None:
                    worker.cancel()
            await asyncio.wait(workers)
        if failure is not None:
            raise failure

    async def _work(self, answers: Answers, meter: Meter) -> None:
        while (line := await self._next()) is not None:
            self._busy += 1
            try:
                record = await self._answer(line)
                answers.add(record)
            finally:
                self._busy -= 1
            meter.count(record)

    async def _next(self) -> Line | None:
        """Give the next line that is to be asked; None at the end, or once the run is to stop."""
        async with self._turn:
            while not self._stop.is_set():
                reading = asyncio.ensure_future(anext(self._lines, None))
                stopping = asyncio.ensure_future(self._stop.wait())
                try:
                    await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
                    line = reading.result() if reading.done() else None
                finally:
                    reading.cancel()
                    stopping.cancel()
                if line is None or not self._is_answered(line):
                    return None if self._stop.is_set() else line
        return None

    def _is_answered(self, line: Line) -> bool:
        """Tell whether the file has this line's answer; raises ConfigError where it has another line's."""
        there = self._file.fingerprint(line.index) if self._file is not None else 0
        if self._file is not None and there and there != self._items.fingerprint(line):
            raise changed(self._file, self._name, line)
        return there != 0

    async def _answer(self, line: Line) -> dict[str, Any]:
        record: dict[str, Any] = {"index": line.index}
        name = self._items.name_of(line)
        if name is not None:
            record["id"] = name
        record["hash"] = f"{self._items.fingerprint(line):016x}"
        call = None
        try:
            call = self._items.call(line)
            answer = await self._farm.ask(call)
            return record | _answered(call, answer)
        except LlamaFarmError as error:
            failure = {"kind": error.kind, "message": str(error)}
        except UNFIT as error:
            message = f"{self._name}:{line.number}: internal error: {type(error).__name__}: {error}"
            failure = {"kind": LlamaFarmError.kind, "message": message}
        cost, attempts = (0.0, []) if call is None else (cost_usd(call), call.attempts)
        return record | {"error": failure, "cost_usd": cost, "attempts": attempt_documents(attempts)}

    @contextmanager
    def _signals(self, workers: list[asyncio.Task[None]]) -> Iterator[None]:
        """On SIGINT or SIGTERM let the lines in flight end; on a second one drop them."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._stop.is_set():
                for worker in workers:
                    worker.cancel()
                return
            self._stop.set()
            busy = counted(self._busy, "line")
            note(self._settings, f"stopping: {busy} in flight to be finished first (again: drop them)")

        signals = (signal.SIGINT, signal.SIGTERM)
        try:
            for number in signals:
                loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows: Ctrl-C then ends the run at once, and drops what is in flight
            yield
            return
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def _answered(call: Call, answer: Answer) -> dict[str, Any]:
    shown = answer_document(answer)
    if call.operation is Operation.EMBEDDING:
        del shown["text"], shown["finish_reason"]
        return {"vectors": answer.vectors or (), **shown}
    return shown
