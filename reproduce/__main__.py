"""The command line of `./run reproduce`."""

import argparse
import os
import signal
import sys
import threading
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from reproduce import catalogue, startup

_DESCRIPTION = """\
Regenerates the figures and tables of the papers. Without an item: the main job, quick preset."""

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "item": {
        "nargs": "?", "default": catalogue.MAIN_ITEM,
        "help": "an item of the list below, `all` for all of them, `list` to see them, or `report` "
                "to draw figures and tables anew from the results that are there",
    },
    "--preset": {
        "choices": catalogue.PRESETS, "default": "quick",
        "help": "size of the run: smoke (seconds), quick (minutes), standard (hours for all "
                "items), best (the smallest errors that a few minutes buy; one item), paper (the "
                "paper's sizes); default quick",
    },
    "--seed": {"type": int, "default": 0, "help": "of every random number; default 0"},
    "--out": {
        "default": "runs", "help": "folder of JSON, figures and their report; default runs",
    },
    "--threads": {"type": int, "help": "threads to compute with; default: all cores"},
    "--seeds": {"type": int, "help": "how many seeds, where an item repeats its runs"},
    "--only": {
        "metavar": "NAME,...", "type": lambda names: tuple(names.split(",")), "default": (),
        "help": "data sets to train on, of those that the preset has; default: all that are here",
    },
    "--jobs": {"type": int,
               "help": "worker processes; default: one, for solved games without `--threads` as "
                       "many as cores and memory allow"},
    "--dask": {"metavar": "ADDRESS", "help": "scheduler of a Dask cluster"},
    "--data-dir": {
        "help": "folder with the data sets' files in their own formats; see `./run data`",
    },
    "--keep": {
        "action": "store_true",
        "help": "keep finished training runs in `--out` that other code made; the report marks "
                "them",
    },
    "--publish": {
        "action": "store_true",
        "help": "with `report`: take the results of `--out`, but those of smoke, into the "
                "committed results/, and make RESULTS.md, the README's table and the figures anew",
    },
}  # fmt: skip

_EPILOG = """\
items, and how long the commands took that made the committed results, on 2 to 4 cores
(>: the command kept earlier runs):

{listing}

Results go to `--out` and touch no file of the repository; `report --publish` alone does."""


def parser(listing: str = "") -> argparse.ArgumentParser:
    """The command line's parser; `listing` of the items is for the help."""
    parsed = argparse.ArgumentParser(
        "./run reproduce", description=_DESCRIPTION, epilog=_EPILOG.format(listing=listing),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    for name, settings in _ARGUMENTS.items():
        parsed.add_argument(name, **settings)
    return parsed


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    wants_help = any(argument in ("-h", "--help") for argument in arguments)
    given = parser(catalogue.listing() if wants_help else "").parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupted)
    if given.item == "list":
        print(catalogue.listing())
        return 0
    try:
        _check(given)
        every = given.item in ("all", "report")
        items = [item for item in catalogue.ITEMS if given.preset in item.presets]
        items = items if every else [catalogue.find(given.item)]
        # TensorFlow uses oneDNN by itself only on processors with AVX512-VNNI; on others its own
        # convolutions take three to eight times as long.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        startup.import_backend(given.threads)
        from reproduce import runner

        if given.item == "report":
            (runner.publish if given.publish else runner.report)(given.out)
        else:
            runner.run(items, given)
    except ValueError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print("reproduce: a worker process died, of too little memory perhaps: try fewer `--jobs`. "
              "What is finished is kept; the same command goes on.", file=sys.stderr)  # fmt: skip
        return 1
    except KeyboardInterrupt:
        print(
            "\nreproduce: interrupted. Finished stages are kept; the same command goes on.",
            file=sys.stderr,
        )
        return 130
    return 0


def _check(given: argparse.Namespace) -> None:
    """Refuses numbers out of range, and options that do not go together."""
    if given.seed < 0:
        raise ValueError(f"`--seed` must be at least 0. Received: {given.seed}")
    for name in ("threads", "seeds", "jobs"):
        value = getattr(given, name)
        if value is not None and value < 1:
            raise ValueError(f"`--{name}` must be at least 1. Received: {value}")
    if given.publish and given.item != "report":
        raise ValueError(
            f"`--publish` belongs to `report`: run first, then `./run reproduce report --publish`. "
            f"Received: {given.item} --publish"
        )


def _interrupted(*_: object) -> None:
    """SIGTERM ends a run as Ctrl-C does: worker processes are ended, what is finished is kept."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
