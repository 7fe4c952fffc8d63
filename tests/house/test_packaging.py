"""The distribution: what the wheel and the source archive hold, ask for, and import."""

import itertools
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
_PACKAGES = ("dgn_tf", "fictitious_play")
_BUILD = "import sys, setuptools.build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"


def build(kind: str, source: Path, target: Path) -> Path:
    """Builds in `source` with what is installed: no network, no build environment."""
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, kind, str(target)],
        cwd=source, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The source archive of a copy that has everything, so that what is left out is left out."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    no_caches = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for path in _ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    for name in (*_PACKAGES, "reproduce", "benchmarks"):
        shutil.copytree(_ROOT / name, copy / name, ignore=no_caches)
    return build("build_sdist", copy, target)


@pytest.fixture(scope="module")
def wheel(archive, tmp_path_factory):
    """The wheel, built from the unpacked source archive and nothing else."""
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent, filter="data")
    source = archive.with_name(archive.name.removesuffix(".tar.gz"))
    return build("build_wheel", source, archive.parent)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content, as an installation lays it out."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)
    return folder


def python(folder: Path, program: str) -> str:
    """Runs a program that finds the packages in `folder` only."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", start + program], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(_ROOT).as_posix()
        for name in _PACKAGES
        for path in (_ROOT / name).rglob("*.py")
    }
    assert names == sources | {f"{name}/py.typed" for name in _PACKAGES}


def test_the_source_archive_has_what_a_packager_needs(archive):
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"} <= names
    assert not any(name.startswith(("reproduce/", "benchmarks/", "results/")) for name in names)


def test_the_metadata_say_what_is_needed(wheel):
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith("METADATA"))
        metadata = Parser().parsestr(opened.read(name).decode())
        licences = [name for name in opened.namelist() if name.endswith("LICENSE")]
    requirements = metadata.get_all("Requires-Dist")
    core = {line for line in requirements if "extra ==" not in line}
    assert {re.split("[<>=]", line)[0] for line in core} == {"keras", "numpy", "scipy", "rich"}
    assert set(metadata.get_all("Provides-Extra")) >= {
        "tensorflow", "tensorflow-gpu", "jax", "torch", "plots", "reproduce", "dask", "dev",
    }  # fmt: skip
    assert "tensorflow[and-cuda]>=" in " ".join(requirements)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert licences
    assert any("arxiv.org/abs/1903.09376" in url for url in metadata.get_all("Project-URL"))


def test_requirements_have_lower_bounds_only():
    extras = _PROJECT["optional-dependencies"].values()
    listed = [*_PROJECT["dependencies"], *itertools.chain.from_iterable(extras)]
    assert all(re.fullmatch(r"[\w-]+(\[[\w-]+\])?>=[\d.]+", line) for line in listed), listed


def test_the_environments_files_are_the_extras_and_are_pinned():
    """The files that `./run` installs say the same as the extras, and all but PyTorch is pinned."""
    core, extras = _PROJECT["dependencies"], _PROJECT["optional-dependencies"]
    wanted = {
        "requirements.txt": [*core, *extras["tensorflow"], *extras["reproduce"]],
        "requirements-cpu.txt": [*core, *extras["tensorflow-cpu"], *extras["reproduce"]],
        "requirements-dask.txt": extras["dask"],
        "requirements-jax.txt": extras["jax"],
        "requirements-torch.txt": extras["torch"],
        "requirements-dev.txt": extras["dev"],
    }  # fmt: skip
    assert set(wanted) == {path.name for path in _ROOT.glob("requirements*.txt")}
    pinned = {
        line.split("==")[0].lower() for line in (_ROOT / "constraints.txt").read_text().splitlines()
    }
    for name, lines in wanted.items():
        text = (_ROOT / name).read_text().splitlines()
        assert sorted(line for line in text if line[0] != "#") == sorted(lines), name
        names = {line.split(">=")[0].lower() for line in lines}
        assert names <= pinned or name == "requirements-torch.txt", names - pinned


def test_one_version_everywhere(installed):
    version = _PROJECT["version"]
    for name in _PACKAGES:
        text = (_ROOT / name / "__init__.py").read_text()
        assert f'\n__version__ = "{version}"\n' in text, name
    assert f"\nversion: {version}\n" in (_ROOT / "CITATION.cff").read_text()
    assert re.search(rf"^## {re.escape(version)}\b", (_ROOT / "CHANGELOG.md").read_text(), re.M)
    program = (
        "from importlib.metadata import version\n"
        "from fictitious_play import __version__\n"
        "print(__version__, version('game-theoretic-learning'))\n"
        "assert not {'keras', 'numpy', 'scipy', 'tensorflow'} & set(sys.modules)\n"
    )
    assert python(installed, program).split() == [version, version]


_HIDE = """
import importlib.abc

class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            raise ImportError(f"{name} is hidden")

sys.meta_path.insert(0, Hide())
"""


def test_the_exact_theory_needs_numpy_and_scipy_alone(installed):
    """Everything else that is installed is hidden from the import and from a solve."""
    program = """
import importlib.metadata
needed = {"numpy", "scipy"}
HIDDEN = set(importlib.metadata.packages_distributions()) - {*needed, "fictitious_play"}
assert {"keras", "tensorflow", "rich"} <= HIDDEN
"""
    solve = """
import fictitious_play.lq as lq
print(lq.nash(lq.inter_bank_form(3, 1.0, 5, a=0.1, q=0.1, epsilon=2.0, c=1.0)).cost)
"""
    assert python(installed, program + _HIDE + solve).startswith("[")


def test_the_installed_packages_need_no_extra_and_no_repository(installed, tmp_path):
    """Both are imported from the wheel's files, without what belongs to figures and tests, and
    load a network that another program has saved."""
    import numpy as np

    import fictitious_play as fp

    model = fp.player_model(fp.InterBankGame(players=2, steps=2), 0, hidden=(4,))
    model.save(tmp_path / "player.keras")
    program = """
HIDDEN = {"reproduce", "benchmarks", "tests", "matplotlib", "sklearn", "distributed", "jax"}
"""
    walk = f"""
import json
import fictitious_play as fp
model = fp.load_model({str(tmp_path / "player.keras")!r})
import dgn_tf
for package in (dgn_tf, fp):
    for name in package.__all__:
        getattr(package, name)
print(json.dumps([dgn_tf.__file__, [float(weight.sum()) for weight in model.get_weights()]]))
"""
    file, weights = json.loads(python(installed, program + _HIDE + walk))
    assert file == str(installed / "dgn_tf" / "__init__.py")
    expected = [weight.sum() for weight in model.get_weights()]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
