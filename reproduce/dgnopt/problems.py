"""What is trained on what: the networks of the paper, sized by preset.

`smoke` trains on scikit-learn's digits, which are always there; `quick` trains dense networks on
them, and all others on 10,000 images of Fashion-MNIST or, where that is absent, on the digits too;
`standard` trains on Fashion-MNIST; `paper` on the paper's data sets. The
paper does not print every width; ours stand here.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from reproduce import data

_TINY = {"data": "digits", "train": 256, "test": 128, "curve_images": 128, "batch": 64}
_DIGITS = {"data": "digits"}
_DIGITS_INSTEAD = {"data": "digits", "instead": True}
_SOME = {"data": "fashion-mnist", "train": 10_000, "test": 2_000, "optional": True}
_FASHION = {"data": "fashion-mnist"}
_MNIST, _SVHN = {"data": "mnist", "validation": 5000}, {"data": "svhn"}
_CIFAR10, _CIFAR100 = {"data": "cifar10"}, {"data": "cifar100"}


def _net(network: str, **options: Any) -> dict[str, Any]:
    """A network and its options; grids are averaged over quarters, which learn faster in a short
    budget than one average over the whole grid."""
    if network in ("residual-conv", "inception", "cooperative"):
        options["pooling"] = "quarters"
    return {"network": network, "options": options}


_PROBLEMS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "residual": {
        "smoke": [_TINY | _net("residual-dense", width=8, blocks=1)],
        "quick": [
            _DIGITS | _net("residual-dense", width=32),
            _SOME | _net("residual-conv", width=8, stride=4),
        ],
        "standard": [_FASHION | _net("residual-conv", width=16, stride=4)],
        "paper": [
            _MNIST | _net("residual-dense", width=128),
            _SVHN | _net("residual-conv", width=32, stride=2),
            _CIFAR10 | _net("resnet18"),
            _CIFAR100 | _net("resnet18"),
        ],
    },
    "inception": {
        "smoke": [_TINY | _net("inception", width=2, stride=2)],
        "quick": [
            _SOME | _net("inception", width=4, stride=4),
            _DIGITS_INSTEAD | _net("inception", width=4, stride=1),
        ],
        "standard": [_FASHION | _net("inception", width=8, stride=4)],
        "paper": [
            _MNIST | _net("inception", width=4, stride=4),
            _SVHN | _net("inception", width=16, stride=2),
            _CIFAR10 | _net("inception", width=16, stride=2),
        ],
    },
    "cooperative": {
        "smoke": [_TINY | _net("cooperative", width=4, stride=2, blocks=1)],
        "quick": [
            _SOME | _net("cooperative", width=8, stride=4),
            _DIGITS_INSTEAD | _net("cooperative", width=8, stride=1),
        ],
        "standard": [_FASHION | _net("cooperative", width=16, stride=4)],
        "paper": [
            _MNIST | _net("cooperative", width=64, kind="dense"),
            _SVHN | _net("cooperative", width=32, stride=2),
        ],
    },
    "feedforward": {
        "smoke": [_TINY | _net("feedforward", width=4)],
        "quick": [
            _SOME | _net("feedforward", width=8),
            _DIGITS_INSTEAD | _net("feedforward", width=8),
        ],
        "standard": [_FASHION | _net("feedforward", width=16)],
        "paper": [_SVHN | _net("feedforward", width=32), _CIFAR10 | _net("feedforward", width=32)],
    },
    "aligned": {
        "smoke": [_TINY | _net("residual-dense", width=8, blocks=1, shortcut="dense")],
        "quick": [
            _DIGITS | _net("residual-dense", width=32, shortcut="dense"),
            _SOME | _net("residual-conv", width=8, stride=4, shortcut="convolution"),
        ],
        "standard": [_FASHION | _net("residual-conv", width=16, stride=4, shortcut="convolution")],
        "paper": [
            _SVHN | _net("residual-conv", width=32, stride=2, shortcut="convolution"),
            _CIFAR10 | _net("residual-conv", width=64, stride=2, shortcut="convolution"),
        ],
    },
}  # fmt: skip

#: The kinds of problems.
KINDS = tuple(_PROBLEMS)
#: What a problem's entries say of its data set, and not of its cells: it is trained on where it is
#: here; it stands in where no other of the kind is.
_MARKS = ("optional", "instead")
#: Steps of a run at the preset `quick`, by data set.
QUICK_STEPS = {"digits": 300, "fashion-mnist": 150}
#: Steps at the preset `paper`; of MNIST ten epochs of a dense network, five of a convolutional one.
PAPER_STEPS = {"mnist": 4290, "svhn": 20_000, "cifar10": 20_000, "cifar100": 20_000}
PAPER_STEPS_CONV = {**PAPER_STEPS, "mnist": 2145}
#: Names of data sets and networks in titles.
DATA_TITLES = {
    "digits": "digits (scikit-learn)", "fashion-mnist": "Fashion-MNIST", "mnist": "MNIST",
    "svhn": "SVHN", "cifar10": "CIFAR10", "cifar100": "CIFAR100",
}  # fmt: skip


#: Training images beside the validation part.
_IMAGES = {"digits": 1181, "fashion-mnist": 59_744, "mnist": 55_000, "svhn": 73_001,
           "cifar10": 49_744, "cifar100": 49_744}  # fmt: skip


def epochs(problem: dict[str, Any]) -> float:
    """How often a run sees its training images: `steps` × `batch` over their number."""
    images = problem.get("train") or _IMAGES[problem["data"]]
    return problem["steps"] * problem["batch"] / images


def problems(
    preset: str, kinds: Sequence[str], data_dir: str | None = None, only: Sequence[str] = ()
) -> list[tuple[str, dict[str, Any]]]:
    """Problems of some kinds: dictionaries with the entries of a cell that say what is trained on
    what, each with its kind.

    Args:
        preset: "smoke", "quick", "standard" or "paper".
        kinds: some of `KINDS`.
        data_dir: folder with data files. Data sets that are neither there nor can be downloaded
            are left out; optional ones are not downloaded, and what stands in for them is left
            out where they are there.
        only: names of data sets; empty for all.

    Raises:
        ValueError: where nothing is left.
    """
    chosen: list[tuple[str, dict[str, Any]]] = []
    failed: ValueError | None = None
    for kind in kinds:
        count = len(chosen)
        for problem in _PROBLEMS[kind][preset]:
            wanted = {key: value for key, value in problem.items() if key not in _MARKS}
            name = wanted["data"]
            if (only and name not in only) or (problem.get("instead") and len(chosen) > count):
                continue
            if not data.available(name, data_dir):
                if problem.get("optional"):
                    continue
                try:
                    data.load(name, data_dir)
                except ValueError as error:
                    failed = failed or error
                    continue
            chosen.append((kind, {**wanted, "data_dir": data_dir}))
    if not chosen:
        raise failed or ValueError(
            f"`--only` must name data sets that this item trains on at the preset {preset}: "
            f"{', '.join(_wanted(preset, kinds))}. Received: {','.join(only)}"
        )
    return chosen


def absent(preset: str, data_dir: str | None, only: Sequence[str] = ()) -> list[str]:
    """Sentences on the data sets that a preset wants and that are not here.

    Raises:
        ValueError: for an unknown data set in `only`, or a `data_dir` that is no folder.
    """
    for name in only:
        if name not in data.NAMES:
            raise ValueError(
                f"`--only` must name data sets: {', '.join(data.NAMES)}. Received: {name!r}"
            )
    names = [name for name in _wanted(preset, KINDS) if not only or name in only]
    missing = [name for name in names if not data.available(name, data_dir)]
    if not missing:
        return []
    shown = ", ".join(DATA_TITLES[name] for name in missing)
    what = (
        "digits are trained on instead"
        if preset == "quick"
        else "what cannot be downloaded is left out"
        if data_dir is None
        else "left out"
    )
    return [f"Not here: {shown}; {what} (`./run data` says how to get them)."]


def _wanted(preset: str, kinds: Iterable[str]) -> list[str]:
    """Names of the data sets that some kinds train on at a preset."""
    return list(
        dict.fromkeys(
            problem["data"] for kind in kinds for problem in _PROBLEMS[kind].get(preset, [])
        )
    )


def title(problem: dict[str, Any]) -> str:
    """A problem in a few words: data set, how much of it, network."""
    name = DATA_TITLES[problem["data"]]
    if problem.get("train"):
        name += f", {problem['train']:,} images"
    options = problem["options"]
    width = f", width {options['width']}" if "width" in options else ""
    if "blocks" in options:
        width += f", {options['blocks']} block{'s' if options['blocks'] > 1 else ''}"
    kind = options.get("shortcut", "identity")
    shortcut = "" if kind == "identity" else f", {kind} shortcuts"
    shortcut += ", dense players" if options.get("kind") == "dense" else ""
    return f"{name} · {problem['network']}{width}{shortcut}"
