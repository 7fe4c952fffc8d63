"""Claims of Liu et al. (2021), each with its rule."""

from reproduce.claims import training
from reproduce.claims.rules import Claim

_PAPER_DATA = ("mnist", "svhn", "cifar10", "cifar100")
_AT_LEAST = (
    "The 95 % interval of the difference, in percentage points and paired by seed, lies above 0"
)
CLAIMS = (
    Claim(
        "dgnopt-table-2", "“convergence improvements over existing methods”, residual networks "
        "(Table 2)",
        f"{_AT_LEAST} for every baseline, and DGNOpt diverges no more often.",
        training.improves, "", _PAPER_DATA,
    ),
    Claim(
        "dgnopt-table-3", "“convergence improvements …”, inception networks (Table 3)",
        f"{_AT_LEAST} for every baseline, and DGNOpt diverges no more often.",
        training.improves, "", _PAPER_DATA[:3],
    ),
    Claim(
        "dgnopt-figure-5", "richer information improves a baseline or does no harm (Fig. 5)",
        f"No interval of a change lies below 0, and all exclude a loss of {training.HARMLESS:g} "
        "percentage points.",
        training.richer, "", _PAPER_DATA,
    ),
    Claim(
        "dgnopt-figure-3", "more information trains faster on cooperative blocks (Fig. 3)",
        f"{_AT_LEAST} for every structure against open loop.",
        training.information, "", ("mnist", "svhn"),
    ),
    Claim(
        "dgnopt-figure-7", "time within ±40 % and memory within ±30 % of EKFAC (Fig. 7)",
        "The quartiles of the time and the memory lie in the band, for every structure.",
        training.cost, "GPUs",
    ),
    Claim(
        "dgnopt-figure-8", "DGNOpt converges at learning rates too large for the baseline "
        "(Fig. 8)",
        "Where most of the baseline's runs diverge, the 95 % interval (Newcombe) of the difference "
        "in the share of runs that learn lies above 0, for FNE and GR.",
        training.large_rates, "", ("mnist",),
    ),
    Claim(
        "dgnopt-differences", "the game makes larger learning rates usable than EKFAC in open loop",
        "Where most runs in open loop fail, the 95 % interval (Newcombe) of the difference in the "
        "share of runs that learn lies above 0; likewise for the printed update, and against open "
        "loop with the KL clip that K-FAC's users have.",
        training.larger_rates,
    ),
    Claim(
        "dgnopt-figure-9", "fictitious agents accelerate training (Fig. 9, Table 4)",
        "For some N > 1 the interval of the ratio of steps to the target lies below 1, at every "
        "learning rate.",
        training.agents, "", ("svhn", "cifar10"),
    ),
    Claim(
        "dgnopt-figure-10", "a bandit's alignment improves on a fixed or random one (Fig. 10, "
        "Table 5)",
        f"{_AT_LEAST}, against both.",
        training.adaptive, "", ("svhn", "cifar10"),
    ),
    Claim(
        "dgnopt-figure-11", "agents beat a partition of each layer (Fig. 11)",
        "The interval of the partition's extra training loss, or of its extra share of diverged "
        "runs, lies above 0 for every form.",
        training.partition, "", ("svhn", "cifar10"),
    ),
)  # fmt: skip
