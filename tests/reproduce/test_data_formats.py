"""Files of every format that are damaged, hold something else or ask for more: all are refused."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import warnings

import numpy as np
import pytest
import scipy.io

from reproduce import data
from reproduce.data import pickled
from tests.reproduce.data_files import (
    IDX_NAMES,
    NAMES,
    check,
    cifar10_files,
    cifar100_files,
    content_of,
    idx,
    python2,
    write,
    write_folder,
    write_idx,
    write_svhn,
    write_tar,
)

pytestmark = pytest.mark.usefixtures("cache")


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
    for name in NAMES:
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
    for name in NAMES:
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
    path = tmp_path / (IDX_NAMES[file] + (".gz" if compressed else ""))
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
