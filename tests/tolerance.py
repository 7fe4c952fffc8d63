"""Comparisons of arrays that know what a GPU multiplies in."""

import numpy as np

#: Of products in TF32, which keeps 10 bits, after a few of them.
TF32 = 3e-3


def with_tf32(compare):
    """`numpy.testing.assert_allclose` that allows float32 the rounding of TF32, relative to the
    largest entry; float64 is compared as it was."""

    def compared(actual, desired, rtol=1e-7, atol=0, **more):
        __tracebackhide__ = True
        first, second = (np.asarray(each) for each in (actual, desired))
        if np.float32 in (first.dtype, second.dtype):
            finite = np.abs(second[np.isfinite(second)])
            rtol, atol = max(rtol, TF32), max(atol, TF32 * np.max(finite, initial=0.0))
        compare(actual, desired, rtol=rtol, atol=atol, **more)

    return compared
