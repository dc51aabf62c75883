"""Tensors, without a bit lost: numpy arrays, where bf16, which numpy does not have, is kept as its bits."""

import numpy as np

# The numpy type that carries the bits of each type.
CARRIER = {
    "f16": np.dtype("<f2"),
    "bf16": np.dtype("<u2"),
    "f32": np.dtype("<f4"),
    "f64": np.dtype("<f8"),
    "i64": np.dtype("<i8"),
}


class Tensor:
    """A type (`f16`, `bf16`, `f32`, `f64` or `i64`) and an array that carries its bits: of the same type in numpy, but
    `uint16` for bf16."""

    __slots__ = ("array", "dtype")

    def __init__(self, dtype, array):
        array = np.asarray(array)
        if array.dtype != CARRIER[dtype]:
            raise TypeError(f"the bits of {dtype} are carried by {CARRIER[dtype]}, not by {array.dtype}")
        self.dtype = dtype
        self.array = array

    @classmethod
    def rounded(cls, values, dtype):
        """A tensor of numbers, each rounded once to `dtype`, to nearest, ties to even."""
        if isinstance(values, Tensor):
            values = values.values()
        values = np.asarray(values)
        with np.errstate(all="ignore"):
            if dtype == "bf16":
                return cls(dtype, _bf16_bits(values))
            return cls(dtype, values.astype(CARRIER[dtype]))

    @classmethod
    def full(cls, shape, value, dtype):
        """A tensor of the same number everywhere."""
        return cls.rounded(np.full(shape, value, dtype=np.float64), dtype)

    @property
    def shape(self):
        return self.array.shape

    @property
    def size(self):
        return self.array.size

    def values(self, dtype=np.float64):
        """The numbers, exactly; in float32 those of f64 and i64 are rounded. They lie in memory as the tensor does."""
        numbers = self.array
        if self.dtype == "bf16":
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        # NaN is not worth a warning.
        with np.errstate(invalid="ignore"):
            return numbers.astype(dtype)

    def cast(self, dtype):
        """The same numbers in another type, each rounded once."""
        return self if dtype == self.dtype else Tensor.rounded(self.values(), dtype)

    def __repr__(self):
        return f"Tensor({self.dtype}, {self.values()})"


def _bf16_bits(values):
    """The bits of numbers rounded to bf16. Through float32, whose last bit says whether anything was lost: to nearest
    twice is not to nearest."""
    values = values.astype(np.float64)
    single = values.astype(np.float32)
    back = single.astype(np.float64)
    inexact = (back != values) & ~np.isnan(values)
    away = inexact & (np.abs(back) > np.abs(values))
    bits = single.view(np.uint32) - away.astype(np.uint32)
    bits = bits | inexact.astype(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + 0x7FFF).astype(np.uint32)) >> 16
    nan = (bits >> 16) | 0x40
    return np.where(np.isnan(values), nan, rounded).astype(CARRIER["bf16"])


def lay_out(array, layout):
    """The same elements, lying in memory as a case asks for."""
    if layout == "channels_last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    if layout == "permuted":
        return np.asfortranarray(array)
    if layout == "sliced":
        # Whoever reads beside the window computes with NaN, and is seen.
        larger = np.full([size + 2 for size in array.shape], _around(array.dtype), dtype=array.dtype)
        window = larger[tuple(slice(1, 1 + size) for size in array.shape)]
        window[...] = array
        return window
    if layout == "expanded" and array.shape[0] > 0:
        return np.broadcast_to(array[:1], array.shape)
    return array


def _around(dtype):
    return {"f": np.nan, "u": 0x7FC0}.get(dtype.kind, 0)
