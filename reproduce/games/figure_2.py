"""The network of one player, drawn from the Keras model itself."""

import json
import math
import re
from typing import Any

from reproduce import figures
from reproduce.report import Table

#: Class of a layer → its name in the legend, colour, outline; its column beside its time step, and
#: its row.
_KINDS: dict[str, tuple[str, str, Any, float, float]] = {
    "InputLayer": ("input", "#ffffff", "-", 0, 0),
    "ControlNetwork": ("Sequential: her control", "#cfdcea", "-", 0, 2),
    "Rcost": ("Rcost: running cost, Euler step", "#f0d3c4", "--", 0.35, 1),
    "Tcost": ("Tcost: terminal cost", "#e3b79b", "-.", -0.2, 1),
    "Concatenate": ("Concatenate: what she has seen", "#dfe9df", ":", -0.5, 3),
}
#: Layers with labels of their own.
_LABELS = {
    "initial_state": "initial state $x_0$",
    "noise": "noise $ΔW_0 \\ldots ΔW_{N_T-1}$",
    "others": "the others' controls",
    "tcost": "Tcost → cost",
}


def run(context) -> dict[str, Any]:
    """Reads nodes and arrows off the Functional model of player 1."""
    import fictitious_play as fp

    settings = context.settings
    game = fp.InterBankGame(players=settings["players"], steps=settings["steps"])
    model = fp.player_model(game, 0)
    layers = {entry["name"]: entry for entry in model.get_config()["layers"]}
    edges, nodes = [], []
    for name, kind in ((name, entry["class_name"]) for name, entry in layers.items()):
        if kind in _KINDS:
            weights = model.get_layer(name).trainable_variables
            size = sum(math.prod(variable.shape) for variable in weights)
            nodes.append({"name": name, "kind": kind, "parameters": size})
            edges += [[source, name] for source in sorted(_drawn_sources(name, layers))]
    return {"nodes": nodes, "edges": edges, "steps": game.steps, "players": game.players,
            "parameters": model.count_params()}  # fmt: skip


def _drawn_sources(name: str, layers: dict[str, Any]) -> set[str]:
    """The drawn layers that feed a layer, past slices and scalings."""
    found: set[str] = set()
    given = json.dumps(layers[name]["inbound_nodes"])
    for source in re.findall(r'"keras_history": \["(\w+)"', given):
        drawn = layers[source]["class_name"] in _KINDS
        found |= {source} if drawn else _drawn_sources(source, layers)
    return found


def draw(document: dict[str, Any]) -> Any:
    """Columns are time steps, rows are the kinds of layers."""
    from matplotlib import patches

    results, steps = document["results"], document["results"]["steps"]
    figure, axis = figures.subplots(figsize=(3.0 * steps + 2.4, 5.2))
    axis.axis("off")
    middle = steps / 2 - 0.5
    places = {"initial_state": (-0.9, 1.5), "noise": (middle, 4), "others": (middle, 0)}
    for node in results["nodes"]:
        _, colour, line, beside, row = _KINDS[node["kind"]]
        name, number = node["name"], node["name"].rsplit("_", 1)[-1]
        step = steps if node["kind"] == "Tcost" else int(number) if number.isdigit() else 0
        axis.text(
            *places.setdefault(name, (step + beside, row)),
            _LABELS.get(name, name.replace("_", " ")), ha="center", va="center", zorder=3,
            fontsize=9, bbox={"boxstyle": "round,pad=0.5", "facecolor": colour,
                              "edgecolor": "#333333", "linestyle": line},
        )  # fmt: skip
    for source, target in results["edges"]:
        start, end = places[source], places[target]
        bend = 0.18 if abs(start[0] - end[0]) > 0.6 and start[1] == end[1] else 0.0
        if source == "noise" and target.startswith("rcost"):
            bend = -0.25 if end[0] > start[0] + 0.5 else 0.12
        arrow = {"arrowstyle": "-|>", "color": "#777777", "shrinkA": 24, "shrinkB": 24, "lw": 0.9,
                 "connectionstyle": f"arc3,rad={bend}"}  # fmt: skip
        axis.annotate("", end, start, zorder=1, arrowprops=arrow)
    axis.set(xlim=(-1.4, steps + 0.3), ylim=(-0.6, 4.5))
    handles = [patches.Patch(facecolor=colour, edgecolor="#333333", linestyle=line, label=label)
               for label, colour, line, *_ in _KINDS.values()]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    axis.set_title(f"One player's network, N_T = {steps} steps; the output is her cost")
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """Layers and parameters, a row per kind."""
    results = document["results"]
    sizes: dict[str, list[int]] = {kind: [] for kind in _KINDS}
    for node in results["nodes"]:
        sizes[node["kind"]].append(node["parameters"])
    return [Table.of(f"The network of one of {results['players']} players", sizes, {
        "layer": lambda kind: _KINDS[kind][0],
        "how many": lambda kind: str(len(sizes[kind])),
        "trainable parameters": lambda kind: str(sum(sizes[kind])),
    })]  # fmt: skip
