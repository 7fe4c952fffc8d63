"""`./run data`: what is here, where it was found, and how to get the rest."""

import pytest

from reproduce.data import __main__ as command
from reproduce.data import places
from tests.reproduce.data_files import arrays, write


def told(capsys, *arguments):
    assert command.main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


def test_what_is_here_and_where_it_was_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    write("svhn", tmp_path / "home" / "datasets" / "svhn", arrays((32, 32, 3), 10))
    lines = told(capsys)
    assert lines[0].split()[:2] == ["digits", "here:"]
    (svhn,) = (line for line in lines if line.startswith("svhn "))
    assert svhn.endswith(f"here: Keras's cache, {tmp_path / 'home' / 'datasets' / 'svhn'}")
    after = lines.index(next(line for line in lines if line.startswith("cifar10 ")))
    assert "absent" in lines[after]
    assert "./run data --download cifar10" in lines[after + 1]
    assert str(tmp_path / "home" / "datasets") in lines[after + 2]


def test_a_folder_of_ones_own(tmp_path, capsys):
    write("mnist", tmp_path / "mnist", arrays((28, 28), 10))
    lines = told(capsys, "--data-dir", str(tmp_path))
    (mnist,) = (line for line in lines if line.startswith("mnist "))
    assert mnist.endswith(f"here: {tmp_path / 'mnist'}")
    assert not any("download" in line for line in lines)
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == ["digits", *places.KNOWN]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--data-dir", "/proc/nowhere"], "`data_dir` must be a folder"),
        (["--data-dir", "/", "--download", "mnist"], "`--download` fills Keras's cache"),
    ],
)
def test_bad_command_lines_are_refused_in_a_sentence(arguments, rule, capsys):
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert rule in error
    assert "Received" in error
