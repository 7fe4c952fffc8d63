"""Small files in the original formats: what is read, what is refused, and what is never touched."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scipy.io

from reproduce import data
from reproduce.data import pickled, places

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip
_FILES = {"mnist", "fashion-mnist", "svhn", "cifar10", "cifar100"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras's, no system packages, and no network."""
    home = tmp_path / "home"
    monkeypatch.setenv("KERAS_HOME", str(home))
    for name, known in places.KNOWN.items():
        bare = {**vars(known), "system": ()}
        monkeypatch.setitem(places.KNOWN, name, places.Known(**bare))

    def offline(*args, **kwargs):
        raise Exception("URL fetch failure")

    monkeypatch.setattr("keras.utils.get_file", offline)
    return home / "datasets"


def arrays(shape, classes, train=7, test=4):
    rng = np.random.default_rng(5)
    sizes = (train, test)
    x = [rng.integers(0, 256, (n, *shape), dtype=np.uint8) for n in sizes]
    y = [rng.integers(0, classes, n) for n in sizes]
    return x[0], y[0], x[1], y[1]


def idx(array):
    """The bytes of an IDX file, by the format's definition."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + bytes(
        array.astype(np.uint8)
    )


def write_idx(folder, content, compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(_IDX, content, strict=True):
        raw = idx(array)
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(raw) if compressed else raw)


def write_svhn(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for file, x, y in (("train", *content[:2]), ("test", *content[2:])):
        y = np.where(y == 0, 10, y).astype(np.uint8)[:, None]
        parts = {"X": x.transpose(1, 2, 3, 0), "y": y}
        scipy.io.savemat(folder / f"{file}_32x32.mat", parts, do_compression=True)


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, which CIFAR's files are made of."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    dispatch[bytes] = save_bytes


def python2(value):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batch(x, y, key):
    planes = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return {b"data": planes, key: [int(label) for label in y], b"filenames": [b"a.png"] * len(x)}


def cifar10_files(content, dump=python2):
    x, y, x_test, y_test = content
    parts = np.array_split(np.arange(len(x)), 5)
    files = {
        f"data_batch_{n}": dump(batch(x[part], y[part], b"labels"))
        for n, part in enumerate(parts, 1)
    }
    return {**files, "test_batch": dump(batch(x_test, y_test, b"labels"))}


def cifar100_files(content, dump=python2):
    x, y, x_test, y_test = content
    return {
        "train": dump({**batch(x, y, b"fine_labels"), b"coarse_labels": [0] * len(x)}),
        "test": dump(
            {**batch(x_test, y_test, b"fine_labels"), b"coarse_labels": [0] * len(y_test)}
        ),
    }


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_tar(path, inner, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write(name, folder, content):
    """A data set as its authors give it away."""
    if name in ("mnist", "fashion-mnist"):
        write_idx(folder, content, compressed=True)
    elif name == "svhn":
        write_svhn(folder, content)
    elif name == "cifar10":
        write_tar(folder / "cifar-10-python.tar.gz", "cifar-10-batches-py", cifar10_files(content))
    else:
        write_tar(folder / "cifar-100-python.tar.gz", "cifar-100-python", cifar100_files(content))


def content_of(name):
    shape = (28, 28, 1) if "mnist" in name else (32, 32, 3)
    content = arrays(shape, 100 if name == "cifar100" else 10)
    return tuple(x[..., 0] if x.shape[-1] == 1 else x for x in content)


def check(read, content):
    x, y, x_test, y_test = content
    for got, want in ((read.x_train, x), (read.x_test, x_test)):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, want if want.ndim == 4 else want[..., None])
    for got, want in ((read.y_train, y), (read.y_test, y_test)):
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, want)


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("name", sorted(_FILES))
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
    for name in _IDX[:2]:
        (tmp_path / name).rename(tmp_path / name.replace("-idx", ".idx"))
    check(data.load("mnist", tmp_path), content)


@pytest.mark.parametrize("name, inner", [("cifar10", "cifar-10-batches-py"), ("cifar10", ""),
                                         ("cifar100", "cifar-100-python")])  # fmt: skip
def test_an_unpacked_cifar_folder_is_read(name, inner, tmp_path):
    content = content_of(name)
    files = (cifar10_files if name == "cifar10" else cifar100_files)(content)
    write_folder(tmp_path / inner, files)
    check(data.load(name, tmp_path), content)


@pytest.mark.parametrize("protocol", [3, 4])
def test_cifar_pickles_of_python_3_are_read_too(protocol, tmp_path):
    content = content_of("cifar100")
    files = cifar100_files(content, lambda value: pickle.dumps(value, protocol))
    write_folder(tmp_path, files)
    check(data.load("cifar100", tmp_path), content)


@pytest.mark.parametrize("name", sorted(_FILES))
def test_an_npz_file_in_keras_layout_is_read_for_every_data_set(name, tmp_path):
    x, y, x_test, y_test = content = content_of(name)
    np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y[:, None].astype(np.uint8),
             x_test=x_test, y_test=y_test.astype(np.float64))  # fmt: skip
    check(data.load(name, tmp_path), content)


@pytest.mark.parametrize(
    "order, code", [("C", "u1"), ("F", "u1"), ("C", ">i4"), ("C", "<f8"), ("C", "?")]
)
def test_arrays_come_out_of_a_pickle_as_they_went_in(order, code):
    array = np.asarray(np.arange(6).reshape(2, 3), code, order=order)
    for dumped in (python2({"a": array}), pickle.dumps({"a": array}, 4)):
        read = pickled.load(io.BytesIO(dumped))
        (got,) = read.values()
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)


class Asks:
    """Pickles to a call of whatever it is given."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def _malicious(tmp_path):
    mark = tmp_path / "mark"
    return {
        "system": (Asks(os.system, (f"touch {mark}",)), "(posix|nt).system"),
        "eval": (Asks(eval, (f"open({str(mark)!r}, 'w')",)), "builtins.eval"),
        "getattr": (Asks(getattr, ("", "join")), "builtins.getattr"),
        "fromfile": (Asks(np.load, (str(mark),)), "numpy.load"),
        "object": (np.array([Asks(os.getpid, ())], object), "(posix|nt).getpid"),
        "memmap": (np.memmap, "numpy.memmap"),
        "ndarray": (Asks(np.ndarray, ((2,), "O")), "not callable"),
    }


@pytest.mark.parametrize(
    "attack", ["system", "eval", "getattr", "fromfile", "object", "memmap", "ndarray"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_pickle_that_asks_for_more_is_refused_and_nothing_runs(attack, packed, tmp_path):
    value, refused = _malicious(tmp_path)[attack]
    files = cifar100_files(content_of("cifar100"))
    files["train"] = pickle.dumps({b"data": value, b"fine_labels": [1]}, 3)
    if packed:
        write_tar(tmp_path / "cifar-100-python.tar.gz", "cifar-100-python", files)
    else:
        write_folder(tmp_path / "cifar-100-python", files)
    with pytest.raises(ValueError, match=f"cifar-100-python[/a-z.]*.*train.*{refused}"):
        data.load("cifar100", tmp_path)
    assert not (tmp_path / "mark").exists()


def test_a_pickle_cannot_make_arrays_of_objects_or_change_what_it_is_given():
    header = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
    objects = pickle.dumps({b"data": np.array([1, "a"], object)}, 3)
    with pytest.raises(ValueError, match="must be bytes of numbers"):
        pickled.load(io.BytesIO(objects))
    poison = header + b"N}X\x0c\x00\x00\x00__defaults__)s\x86b."
    pickled.load(io.BytesIO(poison))
    array = pickle.dumps({b"data": np.arange(3)}, 3)
    np.testing.assert_array_equal(pickled.load(io.BytesIO(array))[b"data"], [0, 1, 2])


def test_every_truncation_is_refused_with_the_name_of_the_file(tmp_path):
    for name in sorted(_FILES):
        folder = tmp_path / name
        write(name, folder, content_of(name))
        for path in sorted(folder.iterdir()):
            whole = path.read_bytes()
            for share in (0, 0.001, 0.02, 0.3, 0.7, 0.97):
                path.write_bytes(whole[: int(share * len(whole))])
                with pytest.raises(ValueError, match=path.name):
                    data.load(name, folder)
            path.write_bytes(whole[:-9])
            with pytest.raises(ValueError, match=path.name):
                data.load(name, folder)
            path.write_bytes(whole)


def test_damaged_bytes_give_a_sentence_or_data_and_never_another_error(tmp_path):
    """Thirty random bytes of each file set to other values, 40 times per data set."""
    rng = np.random.default_rng(3)
    refused = []
    for name in sorted(_FILES):
        folder = tmp_path / name
        write(name, folder, content_of(name))
        paths = sorted(folder.iterdir())
        for trial in range(40):
            path = paths[trial % len(paths)]
            whole = path.read_bytes()
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[rng.integers(0, min(len(whole), 10 ** (1 + trial % 5)), 30)] = rng.integers(
                0, 256, 30
            )
            path.write_bytes(bytes(damaged))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    data.load(name, folder)
                except ValueError as error:
                    refused.append((path.name, str(error)))
            path.write_bytes(whole)
    assert len(refused) > 150
    assert all(name in sentence for name, sentence in refused)


@pytest.mark.parametrize(
    ("file", "raw", "rule"),
    [
        (0, b"\0\0\x08\x01" + bytes(12), "3 axes, magic number 0x00000803. Received: 0x00000801"),
        (1, b"\0\0\x0d\x01" + bytes(12), "magic number 0x00000801. Received: 0x00000d01"),
        (2, b"PK\x03\x04", "Received: 0x504b0304"),
        (0, idx(np.zeros((7, 28, 28))) + b"\0", r"header \(7, 28, 28\). Received: 5489"),
        (0, idx(np.zeros((7, 28, 28)))[:-1], r"header \(7, 28, 28\). Received: 5487"),
        (
            0,
            struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 9),
            r"header \(2147483648, 2147483648, 9\). Received: 0",
        ),
        (1, idx(np.zeros(6)), r"number for each of 7 images. Received: labels of shape \(6,\)"),
        (3, idx(np.full(4, 10)), "labels from 0 to 9. Received: 10"),
        (0, idx(np.zeros((7, 0, 28))), "must hold images"),
        (2, idx(np.zeros((4, 28, 27))), "images of one shape"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files_that_do_not_hold_what_they_say_are_refused(
    file, raw, rule, compressed, tmp_path
):
    write_idx(tmp_path, content_of("mnist"), compressed)
    path = tmp_path / (_IDX[file] + (".gz" if compressed else ""))
    path.write_bytes(gzip.compress(raw) if compressed else raw)
    with pytest.raises(ValueError, match=rule):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "the variables X and y. Received: no y"),
        ({"X": np.zeros((32, 32, 3), np.uint8), "y": [1]}, "X in .* must be"),
        ({"X": np.zeros((32, 32, 3, 2)), "y": [[1], [2]]}, "unsigned bytes"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": [[1]]}, "number for each of 2 images"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": [[1], [11]]}, "0 to 9. Received: 11"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": [[1], [0.5]]}, "0 to 9. Received: 0.5"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": ["a", "b"]}, "must hold one number"),
    ],
)
def test_matlab_files_that_hold_something_else_are_refused(parts, rule, tmp_path):
    write_svhn(tmp_path, content_of("svhn"))
    scipy.io.savemat(tmp_path / "test_32x32.mat", parts)
    with pytest.raises(ValueError, match=rule) as caught:
        data.load("svhn", tmp_path)
    assert "test_32x32.mat" in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({b"data": np.zeros((2, 3071), np.uint8)}, r"\(n, 3072\). Received: shape \(2, 3071\)"),
        ({b"data": np.zeros((2, 3072))}, "Received: shape .* of float64"),
        ({b"data": [0] * 3072}, "Received: list"),
        ({b"fine_labels": [1]}, "number for each of 2 images"),
        ({b"fine_labels": [1, 100]}, "labels from 0 to 99. Received: 100"),
        ({b"fine_labels": [1, "a"]}, "whole numbers as `fine_labels`"),
        ({b"fine_labels": None}, "a list `fine_labels`. Received: none"),
    ],
)
def test_cifar_files_that_hold_something_else_are_refused(entry, rule, tmp_path):
    files = cifar100_files(content_of("cifar100"))
    right = {b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [1, 2]}
    files["test"] = pickle.dumps({**right, **entry}, 3)
    write_folder(tmp_path, files)
    with pytest.raises(ValueError, match=f"{tmp_path}/test.*{rule}"):
        data.load("cifar100", tmp_path)


def test_links_and_missing_members_of_an_archive_are_refused(tmp_path):
    files = cifar100_files(content_of("cifar100"))
    path = tmp_path / "cifar-100-python.tar.gz"
    (tmp_path / "elsewhere").write_bytes(files["test"])
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("cifar-100-python/train")
        member.size = len(files["train"])
        archive.addfile(member, io.BytesIO(files["train"]))
        link = tarfile.TarInfo("cifar-100-python/test")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        archive.addfile(link)
    with pytest.raises(ValueError, match="must hold cifar-100-python/test"):
        data.load("cifar100", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cifar-100-python.tar.gz", "elsewhere"]


@pytest.mark.parametrize("what", ["objects", "npy", "missing"])
def test_npz_files_that_hold_something_else_are_refused(what, tmp_path):
    x, y, x_test, y_test = content_of("mnist")
    path = tmp_path / "mnist.npz"
    if what == "objects":
        y = np.array([Asks(os.mkdir, (str(tmp_path / "mark"),))] * 7, object)
    if what == "npy":
        with path.open("wb") as file:
            np.save(file, x)
    else:
        parts = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
        if what == "missing":
            parts.pop("y_test")
        np.savez(path, **parts)
    with pytest.raises(ValueError, match=r"mnist\.npz must"):
        data.load("mnist", tmp_path)
    assert not (tmp_path / "mark").exists()


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


@pytest.mark.parametrize("name", sorted(_FILES))
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


@pytest.mark.parametrize("name", sorted(_FILES))
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
