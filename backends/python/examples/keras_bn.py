#!/usr/bin/env python3
"""Keras' layer, `keras.layers.BatchNormalization`, on its JAX backend on the CPU, as a backend of bncheck:

bncheck run --backend-cmd 'python3 backends/python/examples/keras_bn.py'

A layer is called by `stateless_call`, as JAX needs it: what it holds is handed to it, and new statistics come back. Here they
are kept between the steps, as a training loop does; gradients are those of `jax.vjp`.
"""

import functools
import os

import numpy as np

from bncheck_backend import Backend, Layer, LayerError, Tensor, Unsupported, computing, needs, serve

os.environ["KERAS_BACKEND"] = "jax"
INSTALL = "pip install keras jax"
jax = needs("jax", backend="keras", install=INSTALL)
keras = needs("keras", backend="keras", install=INSTALL)
jnp = jax.numpy

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

JAX = {"f16": jnp.float16, "bf16": jnp.bfloat16, "f32": jnp.float32, "f64": jnp.float64, "i64": jnp.int64}
NAMES = {np.dtype(dtype).name: name for name, dtype in JAX.items()}

# What Keras calls what PyTorch calls so.
OWN = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
PARAMETERS, STATISTICS = ("weight", "bias"), ("running_mean", "running_var")
RANKS = {"BatchNorm1d": 2, "BatchNorm2d": 4, "BatchNorm3d": 5}


def to_jax(tensor):
    array = tensor.array.view(JAX["bf16"]) if tensor.dtype == "bf16" else tensor.array
    return jnp.asarray(array)


def from_jax(array):
    name, array = NAMES[array.dtype.name], np.asarray(array)
    return Tensor(name, array.view(np.uint16) if name == "bf16" else array)


# What is kept of compiled functions, in cases: 20 functions are 40 MB.
KEPT = 60


@functools.lru_cache(maxsize=256)
def built(features, rank, dtype, affine, momentum, epsilon):
    """A layer for inputs of this rank. What it holds is handed to it, so that one serves for all that are alike."""
    layer = keras.layers.BatchNormalization(
        axis=1,
        # Keras' momentum weighs what was, PyTorch's what is new.
        momentum=1 - momentum,
        epsilon=epsilon,
        center=affine,
        scale=affine,
        dtype=np.dtype(JAX[dtype]).name,
    )
    layer.build((None, features) + (None,) * (rank - 2))
    return layer


# Compiled once for each layer, type and shape, as in a training loop.
@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(layer, training, x, parameters, statistics):
    """The output, and the statistics afterwards."""
    return layer.stateless_call(parameters, statistics, x, training=training)


@functools.partial(jax.jit, static_argnums=(0, 1))
def differentiate(layer, training, x, parameters, statistics):
    """The output, the function that goes back from it, and the statistics afterwards."""
    return jax.vjp(lambda x, p: apply(layer, training, x, p, statistics), x, parameters, has_aux=True)


@jax.jit
def call(go_back, grad_output):
    return go_back(grad_output)


class KerasLayer(Layer):
    def __init__(self, config):
        self.kind, self.features, self.dtype = config.kind, config.features, config.dtype
        self.affine, self.momentum, self.eps = config.affine, config.momentum, config.eps
        layer = self.built(RANKS[self.kind])
        self.values = {}
        for name, own in OWN.items():
            variable = getattr(layer, own)
            if variable is not None:
                given = getattr(config, name)
                self.values[name] = variable.value if given is None else to_jax(given)
        self.training = True
        self.trained = dict.fromkeys(PARAMETERS, True)
        self.grads = dict.fromkeys(PARAMETERS)
        self.go_back = None

    def built(self, rank):
        return built(self.features, rank, self.dtype, self.affine, self.momentum, self.eps)

    def set_training(self, training):
        self.training = training

    def forward(self, x, requires_grad, no_grad):
        self.go_back = None
        # A layer is built for inputs of one rank; BatchNorm1d takes two.
        flat = self.kind == "BatchNorm1d" and len(x.shape) in (2, 3)
        layer = self.built(len(x.shape) if flat else RANKS[self.kind])
        parameters = [self.values[name] for name in PARAMETERS if name in self.values]
        statistics = [self.values[name] for name in STATISTICS]
        given = (layer, self.training, to_jax(x), parameters, statistics)
        trained = any(self.trained[name] and name in self.values for name in PARAMETERS)
        graph = not no_grad and (requires_grad or trained)
        with computing():
            y, *go_back, moved = (differentiate if graph else apply)(*given)
            # What JAX gives may still be on its way.
            jax.block_until_ready((y, moved))
        if graph:
            self.go_back = (*go_back, y.dtype, requires_grad, dict(self.trained))
        self.values.update(zip(STATISTICS, moved))
        return from_jax(y), self.go_back is not None

    def backward(self, grad_output):
        if self.go_back is None:
            raise LayerError("no_graph", "there is no function to go back with")
        go_back, dtype, requires_grad, trained = self.go_back
        grad_output = to_jax(grad_output).astype(dtype)
        with computing():
            grad_input, new = jax.block_until_ready(call(go_back, grad_output))
        for name, grad in zip(PARAMETERS, new):
            if trained[name] and self.trained[name]:
                self.grads[name] = grad if self.grads[name] is None else self.grads[name] + grad
        return from_jax(grad_input) if requires_grad else None

    def gradients(self):
        return {name: None if grad is None else from_jax(grad) for name, grad in self.grads.items()}

    def zero_grad(self):
        self.grads = dict.fromkeys(PARAMETERS)

    def sgd(self, lr):
        for name, grad in self.grads.items():
            if grad is not None:
                self.values[name] = self.values[name] - lr * grad

    def reset_running_stats(self):
        mean, var = (self.values[name] for name in STATISTICS)
        self.values.update(running_mean=jnp.zeros_like(mean), running_var=jnp.ones_like(var))

    def set(self, name, value):
        if name in ("momentum", "eps") and value is not None:
            setattr(self, name, value)
        elif name in self.values and value is not None:
            self.values[name] = to_jax(value).astype(self.values[name].dtype)
            if name in PARAMETERS:
                self.trained[name], self.grads[name] = True, None
        else:
            raise Unsupported(f"{name} cannot be set to {value}: what a layer has is settled when it is made")

    def set_requires_grad(self, name, required):
        self.trained[name] = required

    def state(self):
        return {name: from_jax(value) for name, value in self.values.items()}


class Keras(Backend):
    cases = 0

    name = "keras"
    version = f"keras {keras.__version__} (jax {jax.__version__})"
    about = "keras.layers.BatchNormalization with axis=1, on the JAX backend"
    lacks = {
        "cumulative_average": "momentum is a number",
        "untracked": "there are always moving statistics",
        "mixed_layer": "all variables of a layer have the type of its policy",
        "cast": "layers have one type for good",
        "state_dict": "a layer's variables are saved by number, without names",
        "layouts": "arrays of JAX have no strides",
    }
    unobservable = {"num_batches_tracked": "there is no counter"}

    def unsupported(self, request):
        Keras.cases += 1
        if Keras.cases % KEPT == 0:
            jax.clear_caches()
        return None

    def create(self, config):
        return KerasLayer(config)

    def error_class(self, error):
        said = str(error)
        if "ndim" in said and "is incompatible with the layer" in said:
            return "wrong_rank"
        if "expected axis 1" in said:
            return "wrong_features"
        return "other" if isinstance(error, (ValueError, TypeError)) else None


if __name__ == "__main__":
    serve(Keras())
