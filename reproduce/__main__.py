"""The command line of `./run reproduce`."""

import argparse
import os
import signal
import sys
import threading

from reproduce import catalogue, startup

_DESCRIPTION = """\
Regenerates the figures and tables of the papers. Without an item: the main job, quick preset."""

_ITEM_HELP = """\
an item of `list`; `all` for all of them; `list` to see them; `report` to write RESULTS.md, the \
README's table and the figures anew from the results that are there"""


def parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parsed = argparse.ArgumentParser("./run reproduce", description=_DESCRIPTION)
    parsed.add_argument("item", nargs="?", default=catalogue.MAIN_ITEM, help=_ITEM_HELP)
    parsed.add_argument(
        "--preset",
        default="quick",
        help="size of the run: smoke (seconds), quick (minutes), standard (hours for all items), "
        "paper; default quick",
    )
    parsed.add_argument("--seed", type=int, default=0, help="of every random number; default 0")
    parsed.add_argument(
        "--out", default="results", help="folder of JSON and figures; default results"
    )
    parsed.add_argument(
        "--threads", type=int, default=None, help="threads to compute with; default: all cores"
    )
    parsed.add_argument(
        "--seeds", type=int, default=None, help="how many seeds, where an item repeats its runs"
    )
    parsed.add_argument(
        "--jobs", type=int, default=1, help="worker processes for items of many training runs"
    )
    parsed.add_argument(
        "--dask",
        metavar="ADDRESS",
        default=None,
        help="scheduler of a Dask cluster",
    )
    parsed.add_argument(
        "--data-dir", default=None, help="folder with the data sets' files in their own formats"
    )
    parsed.add_argument(
        "--keep",
        action="store_true",
        help="keep the training runs of the present result that would be made again as they were, "
        "each with its revision, and train what is new, such as a method with another rate",
    )
    return parsed


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    given = parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupted)
    if given.item == "list":
        width = max(len(item.name) for item in catalogue.ITEMS)
        for item in catalogue.ITEMS:
            also = f" (also as {', '.join(item.also)})" if item.also else ""
            print(f"{item.name:<{width}}  {item.title}{also}")
        return 0
    try:
        if given.threads is not None and given.threads < 1:
            raise ValueError(f"`--threads` must be at least 1. Received: {given.threads}")
        if given.seed < 0:
            raise ValueError(f"`--seed` must be at least 0. Received: {given.seed}")
        for name in ("seeds", "jobs"):
            value = getattr(given, name)
            if value is not None and value < 1:
                raise ValueError(f"`--{name}` must be at least 1. Received: {value}")
        every = given.item in ("all", "report")
        items = list(catalogue.ITEMS) if every else [catalogue.find(given.item)]
        # TensorFlow uses oneDNN by itself only on processors with AVX512-VNNI; on others its own
        # convolutions take three to eight times as long.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        startup.import_backend(given.threads)
        from reproduce import runner

        if given.item == "report":
            runner.report(given.out)
        else:
            options = runner.Options(
                given.seeds, given.jobs, given.dask, given.data_dir, given.keep
            )
            if every:
                items = [item for item in items if runner.has_preset(item, given.preset)]
            runner.run(items, given.preset, given.seed, given.out, given.threads, options)
    except ValueError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nreproduce: interrupted. Finished stages are kept; the same command goes on.",
            file=sys.stderr,
        )
        return 130
    return 0


def _interrupted(*_: object) -> None:
    """SIGTERM ends a run as Ctrl-C does: worker processes are ended, what is finished is kept."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
