"""Worker processes: how many, with how many threads, and the same records as in one process."""

from concurrent import futures
from types import SimpleNamespace

import pytest

from fictitious_play import devices
from reproduce import runner, workers
from reproduce.games import cases, cells, solving


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(devices, "has_gpu", lambda: False)


@pytest.mark.parametrize(
    ("jobs", "threads", "tasks", "expected"),
    [
        (None, None, 6, (4, 1)), (None, None, 2, (2, 2)), (None, 1, 6, (1, 1)),
        (3, None, 6, (3, 1)), (2, 1, 6, (2, 1)), (8, None, 6, (6, 1)), (None, None, 0, (1, 4)),
    ],
)  # fmt: skip
def test_processes_and_threads(four_cores, jobs, threads, tasks, expected):
    options = SimpleNamespace(jobs=jobs, threads=threads)
    found = workers.count(tasks, options)
    assert (found, workers.threads(found, options)) == expected


def test_one_process_on_a_gpu_and_as_many_as_memory_allows(four_cores, monkeypatch):
    options = SimpleNamespace(jobs=None, threads=None)
    pages = {"SC_PHYS_PAGES": 5 * 2**30 // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(workers.os, "sysconf", pages.get)
    assert workers.count(6, options) == 2
    monkeypatch.setattr(devices, "has_gpu", lambda: True)
    assert workers.count(6, options) == 1


@pytest.fixture
def item(monkeypatch):
    """Three cases, the third of which reads the first; no game is solved."""
    history = [SimpleNamespace(seconds=3.0, cpu_seconds=2.0)]

    def solve(context, name, game, training, seed):
        return SimpleNamespace(reason="max_stages", history=history, name=name)

    def record(solved):
        return {"solved": solved.result.name, "read": solved.other and solved.other.name}

    game, larger = (SimpleNamespace(get_config=dict, players=count) for count in (2, 3))
    first = cases.Case("first", game)
    item = cases.Games(
        cases=lambda settings: [
            first, cases.Case("second", larger, network="large"),
            cases.Case("third", game, reads=first.key),
        ],
        tables={"caption": {"game": lambda own: cases.names(own[0])[0], **cells.RUNS}},
        record=record,
    )  # fmt: skip
    monkeypatch.setattr(solving, "solve", solve)
    monkeypatch.setattr(cases, "find", lambda name: SimpleNamespace(code=lambda: item))
    return item


def test_solves_in_workers_give_the_records_of_one_process(item, tmp_path, monkeypatch, capsys):
    """A thread stands for the processes; a case that reads another's result is solved with it."""

    def run(folder, jobs):
        options = SimpleNamespace(jobs=jobs, threads=None)
        context = runner.Context({"seeds": 2}, 5, tmp_path / folder, options=options, item="item")
        context.solves.mkdir()
        found = item.run(context)["cases"]
        for one in found:
            assert one.pop("whole_seconds") >= 3.0
            assert one.pop("whole_cpu_seconds") >= 2.0
        return context, found

    alone, expected = run("alone", 1)
    monkeypatch.setattr(
        workers.futures, "ProcessPoolExecutor", lambda *_: futures.ThreadPoolExecutor(1)
    )
    beside, found = run("beside", 2)
    assert found == expected
    reads = [one["read"] for one in found]
    assert reads == ["", "", "first-paper'sarchitecture-5", "", "", "first-paper'sarchitecture-6"]
    assert beside.ran == {"jobs": 2, "threads": 1}
    assert alone.ran == {}
    told = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    both = "first, paper's architecture, third, paper's architecture"
    assert told == [f"{name}, seed {seed}" for name in ("second, large", both) for seed in (5, 6)]
    # What the stages had cost before, which took this command no time.
    assert beside.reused == pytest.approx(alone.reused, rel=0.05)
