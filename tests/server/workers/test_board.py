"""Places counted by several workers together: never more than allowed, never lost, whoever dies when."""

import asyncio
import contextlib
import os
import random

import pytest

from llamafarm.errors import QueueFullError, ResourceError
from llamafarm.server.workers import board as boards
from llamafarm.server.workers.board import Board, board_file
from llamafarm.server.workers.places import WorkerPlaces, ring
from llamafarm.spec.strategy import Optimization, Strategy
from llamafarm.stages import Queue
from tests.server.conftest import until
from tests.stages.test_queue import Work, call_of, settled, through


class Dead:
    """The board as a process sees it that is no more."""

    def __getattr__(self, name):
        return lambda *_: ()


class Workers:
    """Several workers, played in one process, each with a queue of its own."""

    def __init__(self, rows, **optimization):
        self.strategy = Strategy(name="s", optimization=Optimization(**optimization))
        self.file = board_file(rows)
        self.parent = Board(self.file, rows)
        self.pipes = [os.pipe() for _ in range(rows)]
        self.bells = [write for _, write in self.pipes]
        self.workers = [None] * rows
        self.queues = [None] * rows
        self.tasks = [[] for _ in range(rows)]
        for row in range(rows):
            self.start(row)

    def start(self, row):
        worker = WorkerPlaces(Board(os.dup(self.file), len(self.bells), row), row, self.bells)
        self.workers[row] = worker
        self.queues[row] = Queue(self.strategy.optimization, worker.of(self.strategy))
        listens = self.pipes[row][0]
        os.set_blocking(listens, False)

        def rung():
            with contextlib.suppress(BlockingIOError):
                os.read(listens, 4096)
            worker.collect()

        asyncio.get_running_loop().add_reader(listens, rung)
        worker.collect()

    def ask(self, row, work, name, tenant=""):
        task = asyncio.create_task(through(self.queues[row], work, call_of(name, tenant)))
        self.tasks[row].append(task)
        return task

    async def kill(self, row, work):
        worker = self.workers[row]
        alive, worker.board = worker.board, Dead()
        for task in self.tasks[row]:
            task.cancel()
        await asyncio.gather(*self.tasks[row], return_exceptions=True)
        self.tasks[row] = []
        alive.close()
        self.parent.clear(row)
        ring(self.bells, range(len(self.bells)))
        self.start(row)

    def close(self):
        for worker in self.workers:
            worker.board.close()
        self.parent.close()
        for reading, writing in self.pipes:
            asyncio.get_running_loop().remove_reader(reading)
            os.close(reading)
            os.close(writing)


@pytest.fixture
async def workers():
    made = []

    def make(rows, **optimization):
        made.append(Workers(rows, **optimization))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def rest(work, tasks):
    """Let all go until all are done."""
    async with asyncio.timeout(20):
        while not all(task.done() for task in tasks):
            for gate in work.gates.values():
                gate.set()
            await asyncio.sleep(0)


async def test_places_and_line_are_those_of_all_workers(workers):
    crew, work = workers(3, parallel_requests=2, queue_size=2), Work()
    tasks = [crew.ask(row, work, f"{row}{n}") for n in range(2) for row in range(2)]
    await settled()
    assert sorted(work.order) == ["00", "10"]
    with pytest.raises(QueueFullError, match=r"2 requests at work \(parallel_requests\) and 2 waiting"):
        await crew.queues[2](call_of("late"), work)
    await rest(work, tasks)
    assert work.most == 2
    assert crew.parent.at_work(0) == crew.parent.waiting(0) == 0


async def test_a_place_falls_to_the_next_worker_in_turn_and_nobody_comes_before_who_waits(workers):
    crew, work = workers(3, parallel_requests=1), Work()
    names = [(0, "a"), (0, "b"), (0, "c"), (1, "d"), (1, "g"), (2, "e"), (0, "f")]
    tasks = [crew.ask(row, work, name) for row, name in names]
    for _ in names:
        await settled()
        await asyncio.sleep(0.001)  # bells are pipes
        work.let_go(work.order[-1])
    await asyncio.gather(*tasks)
    assert work.order == ["a", "d", "e", "b", "g", "c", "f"]


async def test_more_places_after_a_reload_are_taken_at_once(workers):
    crew, work = workers(2, parallel_requests=1), Work()
    tasks = [crew.ask(row, work, f"{row}") for row in (0, 1)]
    await settled()
    more = Strategy(name="s", optimization=Optimization(parallel_requests=2))
    places = crew.workers[0].of(more)
    await until(lambda: work.running == 2)
    await rest(work, tasks)
    assert places.waiting == 0


async def test_who_leaves_before_he_hears_of_his_place_gives_it_back(workers):
    crew = workers(2, parallel_requests=1)
    here, there = (worker.of(crew.strategy) for worker in crew.workers)
    assert (here.ask(), there.ask()) == ("place", "line")
    here.give_back()
    assert (crew.parent.at_work(0), crew.parent.waiting(0)) == (1, 0)
    there.leave_line()
    assert (crew.parent.at_work(0), crew.parent.waiting(0)) == (0, 0)


async def test_the_places_of_the_dead_fall_to_who_waits(workers):
    crew, got = workers(2, parallel_requests=1), []
    here, there = (worker.of(crew.strategy) for worker in crew.workers)
    there.bind(lambda: got.append("place"))
    assert (here.ask(), there.ask()) == ("place", "line")
    crew.parent.clear(0)
    crew.workers[1].collect()
    assert got == ["place"]
    assert (crew.parent.at_work(0), crew.parent.waiting(0)) == (1, 0)


async def test_nobody_overtakes_who_waits_for_a_place_that_nobody_has_granted_yet(workers):
    crew = workers(2, parallel_requests=1)
    here, there = (worker.of(crew.strategy) for worker in crew.workers)
    assert (here.ask(), there.ask()) == ("place", "line")
    crew.parent.column("s", 2)  # the file has been loaded anew, and its queue is about to be made
    assert here.ask() == "line"


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_or_given_twice_whoever_dies_or_leaves_when(workers, seed):
    draw = random.Random(seed)
    crew, work = workers(4, parallel_requests=3, queue_size=100), Work()
    every = []
    for n in range(80):
        row = draw.randrange(4)
        every.append(crew.ask(row, work, f"{n}", draw.choice("abc")))
        for _ in range(draw.randrange(3)):
            await asyncio.sleep(0)
        chance = draw.random()
        if chance < 0.4:
            draw.choice(every).cancel()
        elif chance < 0.45:
            await crew.kill(draw.randrange(4), work)
        work.let_go(f"{draw.randrange(n + 1)}")
    await rest(work, every)
    assert work.most <= 3
    assert crew.parent.at_work(0) == crew.parent.waiting(0) == 0
    last = Work()
    tasks = [crew.ask(row, last, f"last{row}") for row in range(4)]
    await settled()
    assert last.running == 3
    await rest(last, tasks)


async def test_the_board_has_room_for_so_many_names_and_says_so(monkeypatch):
    monkeypatch.setattr(boards, "COLUMNS", 2)
    board = Board(board_file(2), 2, 0)
    assert [board.column("a", 1), board.column("b", 1), board.column("a", 1)] == [0, 1, 0]
    with pytest.raises(ResourceError, match="restart the gateway"):
        board.column("c", 1)
    board.close()


async def test_figures_of_the_dead_are_kept():
    file = board_file(2)
    parent, worker = Board(file, 2), Board(os.dup(file), 2, 1)
    parent.seat(1, 71, again=False)
    worker.tally(3, 10)
    assert parent.totals() == boards.Totals((71,), 0, 3, 10)
    parent.clear(1)
    parent.seat(1, 72, again=True)
    worker.tally(1, 5)
    assert parent.totals() == boards.Totals((72,), 1, 1, 15)
    worker.close()
    parent.close()
