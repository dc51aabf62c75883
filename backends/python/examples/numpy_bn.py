#!/usr/bin/env python3
"""Batch normalization in numpy, in float64 throughout, as a backend of bncheck:

bncheck run --backend-cmd 'python3 backends/python/examples/numpy_bn.py'
"""

import numpy as np

from bncheck_backend import Kernel, serve


def along(x, per_channel):
    """A number for each channel, in the shape that goes with `x`."""
    return per_channel.reshape(1, -1, *[1] * (x.ndim - 2))


def summed(x):
    """The sum over everything but the channels."""
    # One channel a row, so that numpy adds up pairwise.
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).sum(axis=1)


class NumpyBatchNorm(Kernel):
    name = "numpy"
    version = f"numpy {np.__version__}"
    about = "The textbook formulas in numpy, in float64"

    def forward(self, call):
        x = call.input.values()
        n = x.size // x.shape[1]
        if call.use_batch_stats:
            mean = summed(x) / n
            var = summed((x - along(x, mean)) ** 2) / n
            if call.running_mean is not None:
                old, new = 1 - call.factor, call.factor
                call.running_mean = old * call.running_mean.values() + new * mean
                call.running_var = old * call.running_var.values() + new * var * n / (n - 1)
        else:
            mean, var = call.running_mean.values(), call.running_var.values()
        inverse_std = 1 / np.sqrt(var + call.eps)
        xhat = (x - along(x, mean)) * along(x, inverse_std)
        weight = np.ones(x.shape[1]) if call.weight is None else call.weight.values()
        bias = np.zeros(x.shape[1]) if call.bias is None else call.bias.values()
        output = along(x, weight) * xhat + along(x, bias)
        return output, (xhat, along(x, weight * inverse_std), call.use_batch_stats)

    def backward(self, saved, grad_output, wanted):
        xhat, scale, use_batch_stats = saved
        dy = grad_output.values()
        grad_weight, grad_bias = summed(dy * xhat), summed(dy)
        if use_batch_stats:
            n = dy.size // dy.shape[1]
            grad_input = scale * (dy - along(dy, grad_bias / n) - xhat * along(dy, grad_weight / n))
        else:
            grad_input = scale * dy
        return grad_input, grad_weight, grad_bias


if __name__ == "__main__":
    serve(NumpyBatchNorm())
