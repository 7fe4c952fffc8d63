"""The look of the figures: readable in grey, by line style and marker as much as by colour."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

#: Dark to light, each with a line style and a marker of its own.
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#1b3a5c", "linestyle": "-", "marker": "o"},
    {"color": "#c0562b", "linestyle": "--", "marker": "s"},
    {"color": "#4f8f6b", "linestyle": "-.", "marker": "^"},
    {"color": "#8a6bb1", "linestyle": ":", "marker": "D"},
    {"color": "#b59a2a", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": "#5a5a5a", "linestyle": (0, (1, 1)), "marker": "x"},
    {"color": "#a03b6b", "linestyle": (0, (3, 1, 1, 1)), "marker": "P"},
    {"color": "#2f8fa8", "linestyle": (0, (7, 2)), "marker": "*"},
)
#: A line that is exact, or a limit.
EXACT = {"color": "#5a5a5a", "linestyle": ":"}
_LOOK = {
    "figure.constrained_layout.use": True, "figure.dpi": 110, "savefig.dpi": 130,
    "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.25, "legend.frameon": False, "lines.markersize": 4.5, "lines.linewidth": 1.4,
    "svg.hashsalt": "fixed",
}  # fmt: skip


def line(number: int) -> dict[str, Any]:
    """A style without its marker."""
    return {**STYLES[number], "marker": ""}


def dots(number: int) -> dict[str, Any]:
    """A style without its line."""
    return {**STYLES[number], "linestyle": "none"}


@contextmanager
def style():
    """Matplotlib without a screen, in the house's look."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(_LOOK):
        yield


def subplots(*grid: int, **settings: Any) -> tuple[Any, Any]:
    """A figure and its axes, as `pyplot.subplots` makes them."""
    from matplotlib import pyplot

    return pyplot.subplots(*grid, **settings)


def legend_below(figure: Any) -> Any:
    """The figure, with one legend below for all panels, of the first one's lines."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def shaded(axis: Any, x: Any, values: Any, number: int = 0) -> None:
    """The mean of several runs, `(runs, points)`, as a line, their range shaded."""
    values, look = np.asarray(values, float), STYLES[number]
    axis.plot(x, values.mean(axis=0), **look)
    axis.fill_between(x, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15,
                      linewidth=0)  # fmt: skip


def name_rows(axis: Any, labels: list[str]) -> None:
    """Names the rows of a panel, from the top."""
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_ylim(len(labels) - 0.5, -0.5)


def point(axis: Any, place: int, value: Any, error: Any, number: int) -> None:
    """A value of a row and its error, on one side or `[[below], [above]]`, in one of the styles."""
    axis.errorbar(value, place, xerr=error, capsize=3, **dots(number))


def field(axis: Any, means: np.ndarray, words: list[list[str]], rows: list, columns: list) -> None:
    """A table, `(rows, columns)`, as a field of colours, the darker the better, with words in it
    and names beside it; NaN stays white, and values far below the best share the lightest
    colour."""
    good = means[np.isfinite(means)]
    high = good.max() + 0.5 if len(good) else 100.0
    low = max(good.min(), high - 10.5) - 0.5 if len(good) else 0.0
    axis.imshow(means, cmap="Blues", vmin=low, vmax=high, aspect="auto")
    for (row, column), mean in np.ndenumerate(means):
        lost = np.isnan(mean)
        dark = not lost and mean > (low + high) / 2
        axis.text(column, row, words[row][column], ha="center", va="center", fontsize=7.5,
                  color="white" if dark else "#8a3b1c" if lost else "black")  # fmt: skip
    axis.set_yticks(range(len(rows)), rows, fontsize=8.5)
    axis.set_xticks(range(len(columns)), columns)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.set_xlabel("learning rate")


def save(figure: Any, stem: Path) -> Path:
    """Saves a figure as PNG beside its JSON, without a date in it, and closes it."""
    from matplotlib import pyplot

    path = stem.with_name(stem.name + ".png")
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
    return path


def save_film(moving: Any, stem: Path) -> Path:
    """Saves an animation as GIF beside its JSON, and closes every figure."""
    from matplotlib import animation, pyplot

    path = stem.with_name(stem.name + ".gif")
    moving.save(path, writer=animation.PillowWriter(fps=10))
    pyplot.close("all")
    return path
