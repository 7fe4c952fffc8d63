"""Breaks named lines of the mathematics, one at a time, and looks whether a named test notices.

Every line of `benchmarks.mutations` is found by its exact text, changed in a copy of the
repository, and its tests are run there. A change that its tests do not notice has *survived*: the
line is not tested. The same tests must pass on the unchanged copy.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.mutations import MUTATIONS, Mutation
from reproduce import provenance, startup, store
from reproduce.report import Table

_ROOT = Path(__file__).resolve().parent.parent
_PARTS = ("dgn_tf", "fictitious_play", "reproduce", "benchmarks", "tests", "pyproject.toml")
_PASSED, _FAILED = 0, 1


def main() -> int:
    """Prints a line per mutation; with `--publish` writes docs/mutation.json and .md. 0 if all are
    noticed."""
    parser = argparse.ArgumentParser("./run bench mutation-check", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[m.name for m in MUTATIONS], default=None)
    parser.add_argument("--publish", action="store_true", help="write docs/mutation.json and .md")
    given = parser.parse_args()
    chosen = [m for m in MUTATIONS if given.only is None or m.name in given.only]
    try:
        rows = check(chosen, _ROOT)
    except ValueError as error:
        print(f"mutation-check: {error}", file=sys.stderr)
        return 2
    if given.publish:
        startup.import_backend()
        rows = _with_earlier(rows)
        document = {
            "provenance": provenance.describe(["./run", "bench", "mutation-check"], "all", 0, 1),
            "mutations": rows,
        }
        store.write(_ROOT / "docs" / "mutation.json", document)
        (_ROOT / "docs" / "mutation.md").write_text(page(document))
        print("Written: docs/mutation.json, docs/mutation.md")
    return int(any(row["outcome"] != "noticed" for row in rows))


def _with_earlier(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds what the page has of mutations that are as they were and were not run again."""
    earlier = store.read(_ROOT / "docs" / "mutation.json")["mutations"]
    named = {row["name"]: row for row in [*earlier, *rows]}
    plain = [store.plain(asdict(mutation)) for mutation in MUTATIONS]
    return [
        named[m["name"]]
        for m in plain
        if m.items() <= store.plain(named.get(m["name"], {})).items()
    ]


def check(mutations: Iterable[Mutation], root: Path) -> list[dict[str, Any]]:
    """Runs mutations on a copy of the repository; a dictionary each, with `outcome`.

    Args:
        mutations: to run.
        root: of the repository.

    Raises:
        ValueError: where a text is not exactly once in its file, or the named tests do not pass
            on the unchanged sources.
    """
    mutations = list(mutations)
    for mutation in mutations:
        mutation.mutated((root / mutation.file).read_text())
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        copy = Path(place)
        for part in _PARTS:
            if (root / part).is_dir():
                shutil.copytree(root / part, copy / part,
                                ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
            elif (root / part).exists():
                shutil.copy(root / part, copy / part)
        tests = list(dict.fromkeys(test for mutation in mutations for test in mutation.tests))
        status, output = _pytest(copy, tests)
        if status != _PASSED:
            raise ValueError(
                "the named tests must pass on the unchanged sources. "
                f"Received:\n{_last_lines(output)}"
            )
        return [_run(mutation, copy) for mutation in mutations]


def _run(mutation: Mutation, copy: Path) -> dict[str, Any]:
    path = copy / mutation.file
    original = path.read_text()
    path.write_text(mutation.mutated(original))
    begun = time.monotonic()
    try:
        status, output = _pytest(copy, mutation.tests)
    finally:
        path.write_text(original)
    if status not in (_PASSED, _FAILED):
        raise ValueError(
            f"{mutation.name}: the tests must be found and run. Received:\n{_last_lines(output)}"
        )
    outcome = "noticed" if status == _FAILED else "survived"
    failed = [line.split(" ")[1] for line in output.splitlines() if line.startswith("FAILED ")]
    print(f"{outcome:<9} {mutation.name}: {', '.join(failed) or 'nothing failed'}", flush=True)
    return {
        **asdict(mutation),
        "outcome": outcome,
        "failed": failed,
        "seconds": round(time.monotonic() - begun, 1),
    }


def _pytest(copy: Path, tests: Iterable[str]) -> tuple[int, str]:
    """The exit status and the output of the tests in the copy, which stop at the first failure."""
    # Python sees a changed source by its time in seconds; compiled files would hide the change.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=copy, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-15:])


def page(document: dict[str, Any]) -> str:
    """docs/mutation.md from docs/mutation.json."""
    rows = document["mutations"]
    noticed = sum(row["outcome"] == "noticed" for row in rows)
    given = document["provenance"]
    table = Table(
        "",
        ("line", "file", "changed from", "to", "outcome", "test that failed"),
        [
            (
                row["name"],
                f"`{row['file']}`",
                f"`{row['text'].strip()}`",
                f"`{row['changed'].strip()}`",
                row["outcome"],
                ", ".join(f"`{_test(name)}`" for name in row["failed"]) or "none",
            )
            for row in rows
        ],
    )
    return (
        "# Do the tests notice broken mathematics?\n\n"
        "`./run bench mutation-check --publish` makes this page: it breaks a line in a copy of\n"
        "the repository (a sign, a factor, an index), runs the tests named for it in\n"
        "`benchmarks/mutations.py`, and puts the line back. A change that no test notices has\n"
        "*survived*: its line is not tested.\n\n"
        f"{noticed} of {len(rows)} changes were noticed ({given['date']}, revision "
        f"{given['revision']}, {given['backend']} on {given['device']}, "
        f"{sum(row['seconds'] for row in rows):.0f} s).\n\n"
        f"{table.markdown()}\n"
    )


def _test(name: str) -> str:
    """A test's name without its folder and its case."""
    return name.rpartition("/")[2].partition("[")[0]


if __name__ == "__main__":
    sys.exit(main())
