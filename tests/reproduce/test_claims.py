"""A verdict can fail: every rule is shown records that support, refute, and leave it open."""

import math

import numpy as np
import pytest

from reproduce import claims, pages, store
from reproduce.catalogue import ITEMS, find
from reproduce.claims import OPEN, REFUTED, SUPPORTED, contrasts, rules
from reproduce.games import cells
from reproduce.games.cases import PAPER_NETWORK, SKIP_NETWORK
from reproduce.pages import Place
from tests.reproduce.test_items import _ROOT

NAN = float("nan")


def claim(item, number=0):
    return [each for each in claims.CLAIMS if each.item == item][number]


def verdicts(item, document, number=0):
    return [found.verdict for found in claim(item, number).judge(document)]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.2, SUPPORTED), (-0.2, -0.1, REFUTED), (-0.1, 0.2, OPEN), (NAN, 1.0, REFUTED),
     (-math.inf, math.inf, OPEN), (0.0, 1.0, OPEN)],
)  # fmt: skip
def test_an_interval_supports_only_what_it_leaves_no_room_against(low, high, verdict):
    assert rules.above(low, high) == verdict
    assert rules.below(-high, -low, 0.0) == verdict


def test_a_claim_about_several_cases_needs_all_and_falls_with_one():
    assert rules.every([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert rules.every([SUPPORTED, OPEN]) == OPEN
    assert rules.every([OPEN, REFUTED, SUPPORTED]) == REFUTED
    assert rules.every([]) == OPEN


def test_the_interval_of_a_difference_of_shares():
    """Newcombe (1998), method 10, Table II: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/10."""
    for first, second, expected in (
        ((48, 80), (56, 70), (0.2, 0.0524, 0.3339)),
        ((3, 10), (9, 10), (0.6, 0.1705, 0.8090)),
        ((0, 10), (10, 10), (1.0, 0.6075, 1.0)),
    ):
        assert np.allclose(rules.share_difference(first, second), expected, atol=1e-4)


def test_every_claim_says_how_it_is_decided_and_has_records():
    place = Place.of_repository(_ROOT)
    for each in claims.CLAIMS:
        assert each.rule.endswith(".")
        assert find(each.item) in ITEMS
        found = [each.judge(store.read(path)) for path in place.found(find(each.item))]
        assert all(found), each.item
        assert {one.verdict for each in found for one in each} <= {SUPPORTED, REFUTED, OPEN}


def solved(error, spread=0.0, **more):
    return {"relative_error": [0.0, error], "relative_standard_error": [0.0, spread], **more}


def of(*cases, settings=None, **more):
    return {"results": {"cases": list(cases), **more}, "settings": settings or {}}


@pytest.mark.parametrize(
    ("players", "error", "spread", "verdict"),
    [(5, -0.0049, 0.0, SUPPORTED), (10, 0.006, 0.0, REFUTED), (24, 0.006, 0.001, SUPPORTED),
     (10, 0.0049, 0.001, OPEN), (10, None, 0.0, REFUTED)],
)  # fmt: skip
def test_costs(players, error, spread, verdict):
    case = solved(error, spread, players=players, network=PAPER_NETWORK, game=f"N = {players}")
    other = solved(0.9, players=5, network=SKIP_NETWORK, game="N = 5")
    assert verdicts("lq-costs", of(case, other)) == [verdict]


def test_several_seeds_take_the_place_of_the_paths_interval():
    cases = [
        solved(error, players=5, network=PAPER_NETWORK, game="N = 5") for error in (0.001, 0.008)
    ]
    assert verdicts("lq-costs", of(*cases)) == [OPEN]
    (found,) = claim("lq-costs").judge(of(*cases))
    assert "n = 2" in found.result


def test_every_axis_of_seeds_decides_by_its_interval():
    """Controls, stages, and games that were solved from different numbers of seeds."""

    named = {"game": "N = 5", "network": SKIP_NETWORK, "players": 5}

    def steps(*seeds):
        return of(*({**named, "control_error": max(errors), "control_error_by_step": errors}
                    for errors in seeds))  # fmt: skip

    assert verdicts("lq-trajectories", steps([0.01, 0.02], [0.011, 0.021])) == [SUPPORTED]
    assert verdicts("lq-trajectories", steps([0.01, 0.028], [0.011, 0.022])) == [OPEN]
    assert verdicts("lq-trajectories", steps([0.05, 0.07], [0.051, 0.072])) == [REFUTED]
    (found,) = claim("lq-trajectories").judge(steps([0.01, 0.02]))
    assert (found.verdict, found.data) == (SUPPORTED, SKIP_NETWORK)

    def stages(*seeds):
        return of(*({**named, "stages": [{"error_to_exact_stage": error} for error in errors]}
                    for errors in seeds))  # fmt: skip

    assert verdicts("stage-by-stage", stages([0.01, 0.07], [0.011, 0.069])) == [SUPPORTED]
    assert verdicts("stage-by-stage", stages([0.01, 0.02], [0.05, 0.09])) == [OPEN]

    def many(players, error, spread):
        return {**solved(error, spread, players=players, features="own_and_mean"),
                "game": f"N = {players}", "network": "own and mean, width 16"}  # fmt: skip

    document = of(*(many(50, error, 0.0) for error in (0.001, 0.0011)), many(1000, 0.006, 0.001))
    (found,) = claim("scale").judge(document)
    assert found.verdict == SUPPORTED
    assert found.result == "cost error ≤ 0.60 ± 0.20 %, n = 1 or 2, 2 games"
    assert verdicts("scale", of(many(50, 0.001, 0.0), many(50, 0.015, 0.0))) == [OPEN]


def test_a_cell_has_the_evaluations_error_and_the_spread_over_seeds():
    assert cells.largest([solved(-0.002, 0.0001)]) == "-0.200 % ± 0.010"
    both = [solved(-0.002, 0.0001), solved(0.004, 0.0003)]
    assert cells.largest(both) == "+0.100 % ± 0.020, seeds ± 0.424"


def test_a_gain_by_deviating_counts_and_a_loss_does_not():
    def case(*relative):
        gain = {"relative": list(relative), "relative_standard_error": [0.0] * len(relative)}
        return {"game": "g", "network": PAPER_NETWORK, "players": 2, "exploitability": gain}

    assert verdicts("inter-bank", of(case(0.001, -0.2)), 1) == [SUPPORTED]
    assert verdicts("inter-bank", of(case(0.001, 0.006)), 1) == [REFUTED]
    assert verdicts("inter-bank", of(case(0.001, None)), 1) == [REFUTED]
    unknown = {**case(0.001, None), "relative_standard_error": [0.0, 0.0]}
    unknown["exploitability"]["method"] = "exact"
    assert "nan" in cells.gain([unknown])
    assert "nan" in cells.gain([unknown, unknown])


def closed(cost, gain, apart):
    return {
        **solved(cost),
        "game": "N = 2",
        "network": "one network per step",
        "players": 2,
        "cost_error": {"closed_loop": cost, "open_loop": cost * apart},
        "gain_error": {"closed_loop": gain, "open_loop": 0.2},
    }


def test_closed_loop_far_apart_needs_the_other_equilibrium_to_be_far():
    assert verdicts("closed-loop", of(closed(0.004, 0.02, 4.0))) == [SUPPORTED]
    assert verdicts("closed-loop", of(closed(0.004, 0.02, 2.5))) == [REFUTED]
    assert verdicts("closed-loop", of(closed(0.004, 0.04, 4.0))) == [REFUTED]
    assert verdicts("closed-loop", of(closed(0.006, 0.02, 4.0))) == [REFUTED]


def test_closed_loop_is_decided_by_the_interval_over_seeds():
    assert verdicts("closed-loop", of(closed(0.004, 0.02, 4.0), closed(0.004, 0.021, 4.0))) == [
        SUPPORTED
    ]
    assert verdicts("closed-loop", of(closed(0.004, 0.01, 4.0), closed(0.004, 0.029, 4.0))) == [
        OPEN
    ]


def test_play_that_does_not_converge_is_no_support():
    errors = {"last": [1.0, 9.0], "damped": [1.0, 0.1], "average": [1.0, 0.5]}
    assert verdicts("beliefs", of({"error": errors})) == [SUPPORTED]
    assert verdicts("beliefs", of({"error": {**errors, "damped": [1.0, 2.0]}})) == [REFUTED]
    assert verdicts("beliefs", of({"error": {**errors, "average": [1.0, None]}})) == [REFUTED]


def method(label, accuracies, game=False, **more):
    runs = [
        {"seed": seed, "accuracy": value or 0.0, "loss": 0.1, "diverged": value is None}
        for seed, value in enumerate(accuracies)
    ]
    given = {"name": label, **({"structure": "cooperative"} if game else {})}
    return {"label": label, "method": given, "rate": 0.1, "runs": runs, **more}


def problem(*methods, **more):
    about = {"title": "MNIST · residual-dense, width 8", "data": "mnist", "train": None}
    about |= {"network": "residual-dense", "steps": 430, "batch": 128, "methods": list(methods)}
    return {"results": {"problems": [about | more]}, "settings": {}}


@pytest.mark.parametrize(
    ("game", "verdict"),
    [([97.0, 97.1, 97.2], SUPPORTED), ([95.0, 95.1, 95.3], REFUTED), ([96.0, 97.9, 95.3], OPEN),
     ([97.0, 97.1, None], OPEN), ([None, None, None], REFUTED), ([97.0], OPEN)],
)  # fmt: skip
def test_an_improvement_is_significant_over_every_baseline(game, verdict):
    document = problem(method("SGD", [96.0, 96.2, 96.1]), method("Adam", [90.0, 90.1, 90.3]),
                       method("DGNOpt", game, game=True))  # fmt: skip
    (found,) = claim("dgnopt-table-2").judge(document)
    assert found.verdict == verdict
    assert found.on == "MNIST, residual-dense 8, 1.0 epochs"


@pytest.mark.parametrize(("lost", "verdict"), [(0, SUPPORTED), (1, OPEN), (5, REFUTED)])
def test_runs_that_diverge_refute_once_they_are_significantly_more(lost, verdict):
    finished = [97.0 + 0.1 * seed if seed >= lost else None for seed in range(6)]
    document = problem(method("SGD", [96.0, 96.1, 96.3, 96.3, 96.5, 96.4]),
                       method("DGNOpt", finished, game=True))  # fmt: skip
    assert verdicts("dgnopt-table-2", document) == [verdict]


def test_the_update_as_printed_is_judged_beside_ours():
    document = problem(method("SGD", [96.0, 96.2, 96.1]), method("ours", [97, 97.1, 97.3], True),
                       method("as printed", [95, 95.1, 95.3], True))  # fmt: skip
    assert verdicts("dgnopt-table-2", document) == [SUPPORTED, REFUTED]


def test_a_rate_at_which_the_baseline_fails_needs_runs_that_learn():
    def at(rate, baseline, game):
        ours = method("GR, proximal", game, game=True)
        other = method("GR, proximal, without K δx", [None] * 6, game=True)
        found = [method("baseline", baseline), ours, other]
        for each in found:
            each["method"]["name"], each["rate"] = "SGD", rate
        return found

    lost, won = [None] * 6, [90.0] * 6
    settings = {"settings": {"forms": ["proximal"]}}
    for game, verdict in ((won, SUPPORTED), (lost, REFUTED), ([90.0, *lost[1:]], OPEN)):
        document = problem(*at(1.0, lost, game), *at(0.1, won, lost)) | settings
        assert verdicts("dgnopt-figure-8", document) == [verdict]
    told = contrasts.CONTRASTS[2].tell([problem(*at(1.0, lost, won)) | settings])
    assert told is None, "K δx saves these runs"


def ladder(steps_of_two, ordinary=20):
    """Figure 9 with two seeds: N = 1 is at 90 % after 20 steps, at both learning rates."""

    def agents(steps, count, times):
        reached = [95.0 if step >= steps else 0.0 for step in (10, 20, 30)]
        curve = {"step": [10, 20, 30], "accuracy": reached, "loss": [1.0, 1.0, 1.0]}
        label = f"SGD, N = {count}, rate × {times:g}"
        found = method(label, [95.0, 95.1], game=count > 1, agents=count, rate_times=times)
        found["method"]["name"], found["optimizer"] = "SGD", "SGD"
        found["runs"] = [{**run, "curve": curve} for run in found["runs"]]
        return found

    methods = [agents(ordinary, 1, times) for times in (0.5, 1.0, 2.0)]
    methods += [agents(steps_of_two, 2, times) for times in (0.5, 1.0)]
    settings = {"agents": [1, 2], "optimizers": ["SGD"]}
    return {**problem(*methods, data="digits", steps=30), "settings": settings}


def test_agents_accelerate_where_they_need_fewer_steps_from_every_seed():
    assert verdicts("dgnopt-figure-9", ladder(10)) == [SUPPORTED, SUPPORTED]
    assert verdicts("dgnopt-figure-9", ladder(30)) == [REFUTED, REFUTED]
    assert verdicts("dgnopt-figure-9", ladder(40)) == [REFUTED, REFUTED]
    assert verdicts("dgnopt-figure-9", ladder(40, ordinary=40)) == [OPEN, OPEN]


def test_a_partition_is_judged_by_its_losses_or_by_the_runs_that_diverge():
    def losses(label, values, **more):
        found = method(label, [value and 90.0 for value in values], True, optimizer="SGD")
        found["method"] |= more
        for run, value in zip(found["runs"], values, strict=True):
            run["curve"] = {"loss": [value]}
        return found

    small, large = [0.50, 0.60, 0.55, 0.52], [0.90, 1.05, 0.97, 0.93]
    for agents, parts, verdict in ((small, large, SUPPORTED), (large, small, REFUTED),
                                   (small, small[::-1], OPEN), (small, [None] * 4, SUPPORTED),
                                   (small, [None, *large[1:]], SUPPORTED)):  # fmt: skip
        document = problem(losses("SGD, 4 agents (16)", agents, agents=4),
                           losses("SGD, 4 parts", parts, parts=4))  # fmt: skip
        assert verdicts("dgnopt-figure-11", document) == [verdict]


def test_no_harm_excludes_a_loss_of_half_a_point():
    def document(*accuracies):
        return problem(method("SGD", [96.0, 96.2, 96.1]), method("SGD, feedback", accuracies, True))

    assert verdicts("dgnopt-figure-5", document(96.1, 96.2, 96.2)) == [SUPPORTED]
    assert verdicts("dgnopt-figure-5", document(95.0, 97.2, 96.0)) == [OPEN]
    assert verdicts("dgnopt-figure-5", document(95.9, 96.1, 96.0)) == [OPEN]
    assert verdicts("dgnopt-figure-5", document(94.0, 94.3, 94.2)) == [REFUTED]


def test_a_cost_is_inside_the_papers_band_with_its_quartiles():
    def row(low, high, memory):
        spread = {"low": low, "median": (low + high) / 2, "high": high}
        return {**method("DGNOpt, feedback", [], True), "wall_to_EKFAC": spread,
                "net_to_EKFAC": memory}  # fmt: skip

    for given, verdict in (((0.9, 1.3, 1.2), SUPPORTED), ((1.3, 1.5, 1.2), OPEN),
                           ((1.5, 1.6, 1.2), REFUTED), ((0.9, 1.3, 1.4), REFUTED)):  # fmt: skip
        document = problem(row(*given)) | {"settings": {"rounds": 31}}
        assert verdicts("dgnopt-figure-7", document) == [verdict]


def test_the_largest_error_is_told_for_every_limit():
    cases = [solved(error, players=players, network=PAPER_NETWORK, game=f"N = {players}")
             for players, error in ((5, 0.003), (10, 0.002), (24, 0.004))]  # fmt: skip
    (found,) = claim("lq-costs").judge(of(*cases))
    assert "≤ 0.30 ± 0.00 % (limit 0.5 %) and 0.40 ± 0.00 % (limit 1 %)" in found.result


def test_a_solve_that_broke_off_supports_nothing_and_is_shown():
    cases = [solved(0.001, players=24, network=PAPER_NETWORK, game="N = 24") for _ in range(3)]
    assert verdicts("lq-costs", of(*cases)) == [SUPPORTED]
    cases[1]["reason"] = "non_finite"
    (found,) = claim("lq-costs").judge(of(*cases))
    assert found.verdict == OPEN
    assert found.result.endswith("n = 3, 1 broken off")


def test_what_is_younger_than_the_paper_is_no_baseline_of_it():
    muon = method("Muon", [98.0, 98.1, 98.3])
    ours = method("DGNOpt", [97.0, 97.1, 97.2], game=True)
    document = problem(method("SGD", [96.0, 96.2, 96.1]), ours, muon)
    assert verdicts("dgnopt-table-2", document) == [SUPPORTED]
    told = [contrast.tell([document]) for contrast in contrasts.CONTRASTS[:2]]
    assert told[0] is None
    assert told[1].startswith("Muon, younger than the paper, is ahead of DGNOpt: +1.03 ±")


def test_larger_rates_are_judged_against_open_loop_and_against_its_clipped_steps():
    lost, won = [None] * 6, [90.0] * 6

    def document(ours, clipped):
        methods = [method("open loop", lost), method("ours", ours, True),
                   method("open loop, KL clip", clipped)]  # fmt: skip
        for each in methods:
            each["method"]["name"] = "EKFAC"
        return problem(*methods)

    assert verdicts("dgnopt-differences", document(won, lost)) == [SUPPORTED, SUPPORTED]
    assert verdicts("dgnopt-differences", document(won, won)) == [SUPPORTED, OPEN]
    assert verdicts("dgnopt-differences", document(lost, won)) == [REFUTED, REFUTED]


def test_the_first_page_shows_the_papers_data_in_full_and_of_other_data_the_verdict(tmp_path):
    def result(preset, data, title, ours, seeds=3):
        document = problem(method("SGD", [96.0, 96.2, 96.1]), method("DGNOpt", ours, True),
                           data=data, title=title)  # fmt: skip
        given = {"preset": preset, "revision": "0123456789ab", "command": "./run reproduce"}
        document |= {"settings": {"seeds": seeds}, "provenance": given}
        (tmp_path / preset).mkdir(exist_ok=True)
        store.write(tmp_path / preset / "dgnopt-table-2.json", document)
        return pages.front(Place.of_runs(tmp_path))

    text = result("quick", "digits", "digits · net", [97.0, 97.1], seeds=2)
    assert "| digits, net," in text, "where there is nothing else two seeds are shown"
    text = result("standard", "fashion-mnist", "Fashion-MNIST · net", [95.0, 95.1, 95.3])
    assert "| Fashion-MNIST, net, 0.9 epochs | MNIST, SVHN, CIFAR10, CIFAR100 |" in text
    assert "digits, net" not in text
    text = result("paper", "mnist", "MNIST · net", [97.0, 97.1, 97.2])
    assert "| MNIST, net, 1.0 epochs | SVHN, CIFAR10, CIFAR100; Fashion-MNIST: not supported |" in (
        text
    )
    assert "| **supported** | DGNOpt 97.10 ± 0.10 (3); +1.00 ± 0.25 (n = 3) over SGD" in text


def test_published_games_are_within_one_per_cent_over_the_seeds():
    def case(title, *errors):
        named = {"game": title, "network": "open_loop", "cost_standard_error": 0.001}
        return [{**named, "error": error} for error in errors]

    near, far = case("banks", 0.001, 0.002, 0.001), case("pursuit", 0.03, 0.031, 0.032)
    assert verdicts("games", of(*near)) == [SUPPORTED]
    assert verdicts("games", of(*near, *far)) == [REFUTED]
    assert "1 of 2 cases within 1 %, n = 3; above: pursuit, 3.1 %" in (
        claim("games").judge(of(*near, *far))[0].result
    )
    assert verdicts("games", of(*near, *case("fish", 0.001, None, 0.001))) == [REFUTED]
    assert verdicts("games", of(*near, *case("fish", 0.001, 0.03, 0.001))) == [OPEN]
