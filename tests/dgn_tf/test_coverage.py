"""docs/coverage.md against the installed Keras."""

import re

import pytest

from benchmarks import coverage

SAMPLED = ("AugMix", "BatchNormalization", "Conv2D", "Embedding", "Masking")


def rows():
    """Layer class → its row in the page, as (kind, sentence)."""
    found = re.findall(
        r"^\| `(\w+)`[^|]*\| ([^|]*) \| ([^|]*) \|$", coverage.PAGE.read_text(), re.M
    )
    return {name: (kind, sentence) for name, kind, sentence in found}


def test_every_layer_class_of_keras_has_its_row():
    table = rows()
    assert list(table) == list(coverage.layer_classes())
    kinds = {coverage.WORKS, coverage.DIAGONAL, coverage.REFUSED, coverage.NOT_BUILT}
    assert {kind for kind, _ in table.values()} == kinds
    assert coverage.page(table) == coverage.PAGE.read_text()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SAMPLED else pytest.mark.release)
        for name in coverage.layer_classes()
    ],
)
def test_a_row_is_true(name):
    assert coverage.row(name) == rows()[name]
