"""Builds the wheel, installs it into a fresh environment, and runs the README's examples there.

    ./run wheel [--backends tensorflow jax] [--newest] [--report FILE]

The environment is made outside the repository and thrown away. Versions are those of
constraints.txt, the newest ones with `--newest`. What is printed at the end is the size of the
environment and the time that each step took.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TOLD = (
    "game-theoretic-learning", "keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy",
    "scipy",
)  # fmt: skip
_BUILD = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"


def main() -> int:
    """Runs the check; 0 where everything ran."""
    parser = argparse.ArgumentParser("./run wheel", description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax"],
                        choices=["tensorflow", "tensorflow-cpu", "jax", "torch"])  # fmt: skip
    parser.add_argument("--newest", action="store_true", help="versions without constraints.txt")
    parser.add_argument("--report", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        found = check(Path(folder), given.backends, given.newest)
    print(json.dumps(found, indent=1))
    if given.report:
        given.report.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def check(folder: Path, backends: list[str], newest: bool) -> dict:
    """Build, installation and examples, in an empty folder; sizes in MB and times in seconds."""
    seconds: dict[str, float] = {}

    def timed(what: str, *command: str | Path, **variables: str) -> str:
        begun = time.monotonic()
        done = subprocess.run(
            list(map(str, command)), cwd=folder, env={**os.environ, **variables}, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        seconds[what] = round(time.monotonic() - begun, 1)
        if done.returncode:
            raise SystemExit(f"wheel: failed: {what}")
        print(f"{what}: {seconds[what]} s", file=sys.stderr)
        return done.stdout

    export = subprocess.run(
        ["git", "archive", "HEAD"], cwd=_ROOT, check=True, stdout=subprocess.PIPE
    )
    (folder / "source").mkdir()
    subprocess.run(["tar", "-x", "-C", folder / "source"], input=export.stdout, check=True)
    name = subprocess.run(
        [sys.executable, "-c", _BUILD, str(folder)],
        cwd=folder / "source", check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.splitlines()[-1]  # fmt: skip
    timed("environment", sys.executable, "-m", "venv", "env")
    python = folder / "env" / "bin" / "python"
    bare = _megabytes(folder / "env")
    versions = [] if newest else ["-c", _ROOT / "constraints.txt"]
    # The second example trains on scikit-learn's digits.
    wanted = [f"{folder / name}[{','.join(backends)}]", "scikit-learn"]
    timed("installation", python, "-m", "pip", "install", "--quiet", *versions, *wanted)
    (folder / "elsewhere").mkdir()
    blocks = _BLOCK.findall((_ROOT / "README.md").read_text())
    for backend in (name.split("-")[0] for name in backends):
        # `dgn_tf` is TensorFlow's; everything else runs on every backend.
        chosen = [block for block in blocks if backend == "tensorflow" or "dgn_tf" not in block]
        script = folder / "elsewhere" / f"readme_{backend}.py"
        script.write_text("\n".join(chosen))
        timed(
            f"README on {backend}", python, "-P", script,
            KERAS_BACKEND=backend, PYTHONPATH="", TF_CPP_MIN_LOG_LEVEL="2",
        )  # fmt: skip
    listed = timed("list of packages", python, "-m", "pip", "list", "--format", "json")
    packages = {entry["name"]: entry["version"] for entry in json.loads(listed)}
    return {
        "wheel_kilobytes": round((folder / name).stat().st_size / 1000),
        "environment_megabytes": round(_megabytes(folder / "env")),
        "empty_environment_megabytes": round(bare),
        "seconds": seconds,
        "versions": {name: packages[name] for name in _TOLD if name in packages},
    }


def _megabytes(folder: Path) -> float:
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
