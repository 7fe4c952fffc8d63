"""The search for learning rates: where a grid goes on, and which rate is taken."""

from types import SimpleNamespace

import pytest

from reproduce import store
from reproduce.dgnopt import problems, rates
from reproduce.training import cells


def searched(tmp_path, monkeypatch, accuracy, seeds_lost=()):
    """The row of SGD where a run gives `accuracy(rate, number of the seed)`, None if it diverges.

    `seeds_lost` are (rate, number of the seed) that diverge. Returns the row and the rates that
    were trained, in order.
    """
    trained = []

    def run(made, *_):
        results = []
        for cell in made:
            number = cell["seed"] - rates.SEED
            trained.append((cell["rate"], number))
            score = accuracy(cell["rate"], number)
            lost = score is None or (cell["rate"], number) in seeds_lost
            results.append({"accuracy": score, "diverged": lost, "cpu_seconds": 1.0})
        return results

    monkeypatch.setattr(cells, "run", run)
    tmp_path.mkdir(exist_ok=True)
    context = SimpleNamespace(
        settings={"steps": 4, "rates": 4, "beyond": 2, "confirmations": 2,
                  "methods": {"residual": ["SGD"]}},
        seed=0, preset="smoke", results=tmp_path,
        problems=lambda kinds: problems.problems("smoke", kinds),
        options=SimpleNamespace(data_dir=None),
    )  # fmt: skip
    results = rates.run(context)
    store.write(tmp_path / "dgnopt-rates.json", {"results": results})
    [row] = results["rows"]
    return row, trained


def test_a_best_rate_inside_the_grid_ends_the_search(tmp_path, monkeypatch):
    row, trained = searched(tmp_path, monkeypatch, lambda rate, _: 70 - abs(rate - 1))
    assert row["rates"] == row["grid"] == [0.1, 0.3, 1.0, 3.0]
    assert row["chosen"] == 1.0
    first = [(0.1, 0), (0.3, 0), (1.0, 0), (3.0, 0)]
    assert trained == [*first, (1.0, 1), (1.0, 2), (0.3, 1), (0.3, 2)]


def test_the_rate_with_the_better_mean_over_further_seeds_is_taken(tmp_path, monkeypatch):
    """The second best by the first seed, 0.3, is the better one by the two that did not choose."""
    scores = {(0.1, 0): 50, (0.3, 0): 69, (1.0, 0): 70, (3.0, 0): 60, (0.3, 1): 80, (0.3, 2): 60,
              (1.0, 1): 69, (1.0, 2): 70}  # fmt: skip
    row, _ = searched(tmp_path, monkeypatch, lambda rate, number: scores[rate, number])
    assert row["further"] == [[], [80, 60], [69, 70], []]
    assert row["chosen"] == 0.3


def test_the_grid_goes_on_above_until_the_best_is_inside(tmp_path, monkeypatch):
    row, _ = searched(tmp_path, monkeypatch, lambda rate, _: 90 - abs(rate - 11))
    assert row["rates"] == [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    assert row["chosen"] == 10.0


def test_the_grid_goes_on_by_two_rates_a_side_at_most(tmp_path, monkeypatch):
    row, _ = searched(tmp_path, monkeypatch, lambda rate, _: rate)
    assert row["rates"] == [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    assert row["chosen"] == 30.0
    low, _ = searched(tmp_path / "low", monkeypatch, lambda rate, _: 90 - rate)
    assert low["rates"] == [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    assert low["chosen"] == 0.01
    document = {"settings": {"steps": 4, "rates": 4, "beyond": 2, "confirmations": 2},
                "provenance": {"seed": 0}, "results": {"rows": [low]}}  # fmt: skip
    assert rates.summary(document)[0].rows[0][2].startswith("0.01: 90.0, 0.03: 90.0, 0.1: 89.9")
    assert "Still at an end: SGD on digits" in rates.facts(document)["ends"]


def test_a_rate_that_diverges_with_a_further_seed_gives_way(tmp_path, monkeypatch):
    row, _ = searched(tmp_path, monkeypatch, lambda rate, _: 90 - abs(rate - 1),
                      seeds_lost=[(1.0, 2), (0.3, 1)])  # fmt: skip
    assert row["rejected"] == [1.0, 0.3]
    assert row["chosen"] == 0.1
    assert row["rates"][0] == 0.03  # tried since the next best was at the lower end


def test_nothing_is_taken_where_everything_diverges(tmp_path, monkeypatch):
    row, _ = searched(tmp_path, monkeypatch, lambda rate, _: None)
    assert row["chosen"] is None
    assert row["rates"] == [0.01, 0.03, *row["grid"]]


def test_the_grid_goes_on_below_where_every_rate_diverges(tmp_path, monkeypatch):
    row, _ = searched(tmp_path, monkeypatch, lambda rate, _: 50 if rate < 0.05 else None)
    assert row["chosen"] == 0.03


@pytest.mark.parametrize(("rate", "way", "wanted"), [
    (3.0, 1, 10.0), (1.0, -1, 0.3), (3e-4, -1, 1e-4), (0.01, 1, 0.03), (0.003, -1, 0.001),
])  # fmt: skip
def test_the_next_rate_is_one_or_three_times_a_power_of_ten(rate, way, wanted):
    assert rates.neighbour(rate, way) == wanted
