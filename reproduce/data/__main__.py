"""The command line of `./run data`: which data sets are here, and how to get the others."""

import argparse
import sys
from pathlib import Path

from reproduce import data
from reproduce.data import places


def main(arguments: list[str] | None = None) -> int:
    """Lists the data sets, or downloads one; returns the exit status."""
    parser = argparse.ArgumentParser(
        "./run data", description="Shows which data sets are here, where they were found, and how "
        "to get the others. Nothing is downloaded unless it is asked for.",
    )  # fmt: skip
    parser.add_argument("--data-dir", help="look in this folder instead of the usual places")
    parser.add_argument(
        "--download", metavar="NAME", choices=list(places.KNOWN),
        help="download one into Keras's cache: %(choices)s",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        if given.download and given.data_dir:
            raise ValueError(
                "`--download` fills Keras's cache; leave `--data-dir` out. "
                f"Received: --data-dir {given.data_dir}"
            )
        if given.download and not data.available(given.download):
            places.download(given.download)
        print("\n".join(listing(given.data_dir)))
    except ValueError as error:
        print(f"data: {error}", file=sys.stderr)
        return 2
    return 0


def listing(data_dir: str | None = None) -> list[str]:
    """A line per data set that is here, in `data_dir` or in the usual places, more for one that is
    not; a ValueError for a `data_dir` that is no folder."""
    lines = [f"{'digits':<15}here: scikit-learn brings them"]
    folder = None if data_dir is None else Path(data_dir).expanduser()
    for name, known in places.KNOWN.items():
        found = places.find(name, folder) if data.available(name, data_dir) else None
        if found is not None:
            place = str(found.paths[0].parent)
            title = found.title if place in found.title else f"{found.title}, {place}"
            lines.append(f"{name:<15}here: {title if folder is None else place}")
            continue
        put = f"put {places.expects(name)} into"
        fetched = [f"./run data --download {name}   (from {url.rpartition('/')[0]})"
                   for url, _ in known.files[:1]]  # fmt: skip
        ways = [f"{put} {folder / name}"] if folder else [
            *fetched, *filter(None, [known.package]), f"{put} {places.download_folder(name)}",
            f"have them in FOLDER or FOLDER/{name} and give --data-dir FOLDER to each command",
        ]  # fmt: skip
        lines += [f"{name:<15}absent. To get it, one of:", *(f"{'':<17}{way}" for way in ways)]
    return lines


if __name__ == "__main__":
    sys.exit(main())
