"""Data sets are read where they lie or fetched; what a user has is never touched."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from reproduce import data
from reproduce.data import places
from tests.reproduce.data_files import (
    IDX_NAMES,
    NAMES,
    arrays,
    check,
    cifar10_files,
    cifar100_files,
    content_of,
    snapshot,
    write,
    write_folder,
    write_idx,
    write_tar,
)

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("below", ["", "own"])
def test_what_was_written_in_the_original_format_is_read(name, below, tmp_path):
    content = content_of(name)
    folder = tmp_path / "files"
    write(name, folder / (name if below else ""), content)
    before = snapshot(folder)
    assert data.available(name, folder)
    read = data.load(name, str(folder))
    check(read, content)
    assert (read.name, read.classes, read.scale) == (name, 100 if name == "cifar100" else 10, 255.0)
    # Results say it: no path of the machine that made them.
    assert read.source.endswith("in the data folder" + (f"'s {name}" if below else ""))
    assert snapshot(folder) == before


def test_plain_idx_files_are_read_and_their_name_may_have_a_dot(tmp_path):
    content = content_of("mnist")
    write_idx(tmp_path, content)
    for name in IDX_NAMES[:2]:
        (tmp_path / name).rename(tmp_path / name.replace("-idx", ".idx"))
    check(data.load("mnist", tmp_path), content)


@pytest.mark.parametrize("name", NAMES)
def test_an_npz_file_in_keras_layout_is_read_for_every_data_set(name, tmp_path):
    x, y, x_test, y_test = content = content_of(name)
    np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y[:, None].astype(np.uint8),
             x_test=x_test, y_test=y_test.astype(np.float64))  # fmt: skip
    check(data.load(name, tmp_path), content)


def test_keras_cache_comes_before_the_system_and_data_dir_before_both(tmp_path, cache, monkeypatch):
    sets = [arrays((28, 28), 10, train=n) for n in (2, 3, 4)]
    write_idx(tmp_path / "system", sets[0])
    known = {**vars(places.KNOWN["fashion-mnist"]), "system": (str(tmp_path / "system"),)}
    monkeypatch.setitem(places.KNOWN, "fashion-mnist", places.Known(**known))
    check(data.load("fashion-mnist"), sets[0])
    write_idx(cache / "fashion-mnist", sets[1], compressed=True)
    read = data.load("fashion-mnist")
    check(read, sets[1])
    assert read.source == "train-images-idx3-ubyte.gz and 3 more, in Keras's cache"
    write_idx(tmp_path / "mine", sets[2])
    check(data.load("fashion-mnist", tmp_path / "mine"), sets[2])


def test_what_keras_itself_keeps_in_its_cache_is_read(cache):
    """Where `keras.datasets` of Keras 3.15 puts MNIST and CIFAR."""
    x, y, x_test, y_test = mnist = content_of("mnist")
    cache.mkdir(parents=True)
    np.savez(cache / "mnist.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    check(data.load("mnist"), mnist)
    cifar10, cifar100 = content_of("cifar10"), content_of("cifar100")
    inner = "cifar-10-batches-py-target/cifar-10-batches-py"
    write_folder(cache / inner, cifar10_files(cifar10))
    check(data.load("cifar10"), cifar10)
    write_tar(
        cache / "cifar-100-python-target_archive", "cifar-100-python", cifar100_files(cifar100)
    )
    check(data.load("cifar100"), cifar100)


@pytest.mark.parametrize("name", NAMES)
def test_data_dir_without_the_files_says_what_to_put_there_and_looks_nowhere_else(
    name, tmp_path, cache
):
    write(name, cache / places.KNOWN[name].cache[0], content_of(name))
    assert data.available(name)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert not data.available(name, empty)
    with pytest.raises(ValueError) as caught:
        data.load(name, empty)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in (places.KNOWN[name].layout.expects, f"{name}.npz", str(empty / name)):
        assert part in sentence


@pytest.mark.parametrize("name", NAMES)
def test_offline_and_missing_is_one_sentence_that_says_where_to_put_what(name, cache):
    assert not data.available(name)
    assert not cache.exists()
    with pytest.raises(ValueError) as caught:
        data.load(name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in (name, places.KNOWN[name].layout.expects, str(cache), "URL fetch failure"):
        assert part in sentence
    assert not [path for path in cache.rglob("*") if path.is_file()]


def _server(monkeypatch, files):
    """Stands in for the network: what `urlretrieve` would bring, below Keras's own checks."""
    asked = []

    def retrieve(url, target, report=None):
        asked.append(url)
        Path(target).write_bytes(files[url.rpartition("/")[2]])

    from keras.src.utils import file_utils

    monkeypatch.setattr("keras.utils.get_file", file_utils.get_file)
    monkeypatch.setattr(file_utils, "urlretrieve", retrieve)
    return asked


def _publish(monkeypatch, files, algorithm):
    known = places.KNOWN["fashion-mnist"]
    published = [
        (url, algorithm(files[url.rpartition("/")[2]]).hexdigest()) for url, _ in known.files
    ]
    changed = {**vars(known), "files": published}
    monkeypatch.setitem(places.KNOWN, "fashion-mnist", places.Known(**changed))


@pytest.mark.parametrize("algorithm", [hashlib.md5, hashlib.sha256])
def test_missing_files_are_downloaded_once_and_those_that_are_there_are_kept(
    algorithm, tmp_path, cache, monkeypatch
):
    content = content_of("fashion-mnist")
    write_idx(tmp_path / "server", content, compressed=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "server").iterdir()}
    asked = _server(monkeypatch, files)
    _publish(monkeypatch, files, algorithm)
    folder = cache / "fashion-mnist"
    write_folder(folder, {"t10k-labels-idx1-ubyte.gz": files["t10k-labels-idx1-ubyte.gz"]})
    before = snapshot(folder)
    check(data.load("fashion-mnist"), content)
    assert len(asked) == 3
    check(data.load("fashion-mnist"), content)
    assert len(asked) == 3
    assert snapshot(folder).items() >= before.items()
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_a_download_with_another_hash_leaves_nothing_behind(tmp_path, cache, monkeypatch):
    write_idx(tmp_path / "server", content_of("fashion-mnist"), compressed=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "server").iterdir()}
    _server(monkeypatch, files)
    with pytest.raises(ValueError, match=r"cannot be downloaded.*hash does not match"):
        data.load("fashion-mnist")
    assert list((cache / "fashion-mnist").iterdir()) == []
    assert not data.available("fashion-mnist")


def test_a_damaged_file_of_the_user_is_named_and_left_as_it_is(cache):
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"half a file")
    before = snapshot(cache)
    with pytest.raises(ValueError, match=str(cache / "mnist.npz")):
        data.load("mnist")
    assert snapshot(cache) == before


@pytest.mark.parametrize("name, other", [("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")])
def test_one_mnist_does_not_pass_for_the_other(name, other, tmp_path):
    """Their files have the same names; the first labels of the original files tell them apart."""
    x, _, x_test, y_test = arrays((28, 28), 10, train=16)
    first = np.array(places.KNOWN[other].first_labels)
    write_idx(tmp_path, (x, first, x_test, y_test))
    with pytest.raises(ValueError, match=f"belong to '{name}'. Received: the files of '{other}'"):
        data.load(name, tmp_path)
    check(data.load(other, tmp_path), (x, first, x_test, y_test))


def test_digits_are_split_once_and_for_all():
    from sklearn.datasets import load_digits

    read = data.load("digits")
    assert (read.x_train.shape, read.x_test.shape) == ((1437, 8, 8, 1), (360, 8, 8, 1))
    assert (read.classes, read.scale, read.x_train.max(), read.x_train.dtype) == (10, 16, 16, "u1")
    assert "1437 to train and 360 to test" in read.source
    original = load_digits()
    both = np.concatenate([read.x_train, read.x_test]).reshape(-1, 64)
    labels = np.concatenate([read.y_train, read.y_test])
    rows = sorted(zip(map(bytes, both), labels, strict=True))
    assert rows == sorted(
        zip(map(bytes, original.data.astype(np.uint8)), original.target, strict=True)
    )
    share = np.bincount(labels) * 360 / 1797
    assert np.abs(np.bincount(read.y_test) - share).max() < 1
    # Golden: the test images of the split as it was first made; results of versions compare.
    assert hashlib.sha256(read.x_test.tobytes()).hexdigest()[:16] == "3e52412761d0fa89"


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(),
    reason="Debian's dataset-fashion-mnist is not installed",
)
def test_fashion_mnist_of_the_system_package():
    folder = Path("/usr/share/datasets/fashion-mnist")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    read = data.load("fashion-mnist", folder)
    assert (read.x_train.shape, read.x_test.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert np.bincount(read.y_train).tolist() == [6000] * 10
    assert np.bincount(read.y_test).tolist() == [1000] * 10
    # The published mean and standard deviation of the training pixels, of 255.
    assert read.x_train.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert read.x_train.std() / 255 == pytest.approx(0.3530, abs=5e-5)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_bad_arguments_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be one of digits, mnist, .*'emnist'"):
        data.load("emnist")
    with pytest.raises(ValueError, match="`name` must be one of digits"):
        data.available("emnist")
    for path in (tmp_path / "nowhere", __file__):
        with pytest.raises(ValueError, match="`data_dir` must be a folder that holds train_32x32"):
            data.load("svhn", path)
