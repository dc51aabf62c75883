#!/usr/bin/env python3
"""Flax's layer, `flax.linen.BatchNorm`, with JAX on the CPU, as a backend of bncheck:

bncheck run --backend-cmd 'python3 backends/python/examples/flax_bn.py'

A module of Flax is a function: parameters and statistics are handed to it, and new statistics come back. Here they are kept
between the steps, as a training loop does; gradients are those of `jax.vjp`.
"""

import functools

import numpy as np

from bncheck_backend import Backend, Layer, LayerError, Tensor, Unsupported, computing, needs, serve

INSTALL = "pip install flax jax"
jax = needs("jax", backend="flax", install=INSTALL)
flax = needs("flax", backend="flax", install=INSTALL)
linen = needs("flax.linen", backend="flax", install=INSTALL)
jnp = jax.numpy

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

JAX = {"f16": jnp.float16, "bf16": jnp.bfloat16, "f32": jnp.float32, "f64": jnp.float64, "i64": jnp.int64}
NAMES = {np.dtype(dtype).name: name for name, dtype in JAX.items()}

# Where Flax keeps what PyTorch calls so.
PLACES = {
    "weight": ("params", "scale"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}
PARAMETERS = ("weight", "bias")


def to_jax(tensor):
    array = tensor.array.view(JAX["bf16"]) if tensor.dtype == "bf16" else tensor.array
    return jnp.asarray(array)


def from_jax(array):
    name, array = NAMES[array.dtype.name], np.asarray(array)
    return Tensor(name, array.view(np.uint16) if name == "bf16" else array)


# What is kept of compiled functions, in cases: 20 functions are 40 MB.
KEPT = 60


# Compiled once for each module, type and shape, as in a training loop.
@functools.partial(jax.jit, static_argnums=(0, 1))
def apply(module, training, x, params, stats):
    """The output, and the statistics afterwards."""
    variables = {"params": params, "batch_stats": stats}
    return module.apply(variables, x, use_running_average=not training, mutable=["batch_stats"])


@functools.partial(jax.jit, static_argnums=(0, 1))
def differentiate(module, training, x, params, stats):
    """The output, the function that goes back from it, and the statistics afterwards."""
    return jax.vjp(lambda x, params: apply(module, training, x, params, stats), x, params, has_aux=True)


@jax.jit
def call(go_back, grad_output):
    return go_back(grad_output)


@functools.lru_cache(maxsize=None)
def new_variables(module, features):
    x = jnp.zeros((1, features), module.param_dtype)
    return jax.jit(functools.partial(module.init, use_running_average=False))(jax.random.key(0), x)


class FlaxLayer(Layer):
    def __init__(self, config):
        self.module = linen.BatchNorm(
            axis=1,
            # Flax's momentum weighs what was, PyTorch's what is new.
            momentum=1 - config.momentum,
            epsilon=config.eps,
            use_scale=config.affine,
            use_bias=config.affine,
            param_dtype=JAX[config.dtype],
        )
        variables = new_variables(self.module, config.features)
        self.new_stats = variables["batch_stats"]
        self.variables = {"params": dict(variables.get("params", {})), "batch_stats": dict(self.new_stats)}
        # Flax makes statistics in f32 for whatever layer; they may be of another type.
        self.cast(("running_mean", "running_var"), config.statistics_dtype)
        for name, (collection, own) in PLACES.items():
            if getattr(config, name) is not None and own in self.variables[collection]:
                self.variables[collection][own] = to_jax(getattr(config, name))
        self.training = True
        self.trained = dict.fromkeys(PARAMETERS, True)
        self.grads = dict.fromkeys(PARAMETERS)
        self.go_back = None

    def held(self, name):
        collection, own = PLACES[name]
        return self.variables[collection].get(own)

    def set_training(self, training):
        self.training = training

    def forward(self, x, requires_grad, no_grad):
        self.go_back = None
        given = (self.module, self.training, to_jax(x), self.variables["params"], self.variables["batch_stats"])
        trained = any(self.trained[name] and self.held(name) is not None for name in PARAMETERS)
        graph = not no_grad and (requires_grad or trained)
        with computing():
            y, *go_back, moved = (differentiate if graph else apply)(*given)
            # What JAX gives may still be on its way.
            jax.block_until_ready((y, moved))
        if graph:
            self.go_back = (*go_back, y.dtype, requires_grad, dict(self.trained))
        self.variables["batch_stats"] = dict(moved["batch_stats"])
        return from_jax(y), self.go_back is not None

    def backward(self, grad_output):
        if self.go_back is None:
            raise LayerError("no_graph", "there is no function to go back with")
        go_back, dtype, requires_grad, trained = self.go_back
        grad_output = to_jax(grad_output).astype(dtype)
        with computing():
            grad_input, new = jax.block_until_ready(call(go_back, grad_output))
        for name in PARAMETERS:
            own = PLACES[name][1]
            if own in new and trained[name] and self.trained[name] and self.held(name) is not None:
                self.grads[name] = new[own] if self.grads[name] is None else self.grads[name] + new[own]
        return from_jax(grad_input) if requires_grad else None

    def gradients(self):
        return {name: None if grad is None else from_jax(grad) for name, grad in self.grads.items()}

    def zero_grad(self):
        self.grads = dict.fromkeys(PARAMETERS)

    def sgd(self, lr):
        for name, grad in self.grads.items():
            if grad is not None and self.held(name) is not None:
                collection, own = PLACES[name]
                self.variables[collection][own] = self.held(name) - lr * grad

    def reset_running_stats(self):
        old = self.variables["batch_stats"]
        self.variables["batch_stats"] = {own: new.astype(old[own].dtype) for own, new in self.new_stats.items()}

    def set(self, name, value):
        if name == "momentum" and value is not None:
            self.module = self.module.clone(momentum=1 - value)
        elif name == "eps":
            self.module = self.module.clone(epsilon=value)
        elif name in PARAMETERS:
            collection, own = PLACES[name]
            self.module = self.module.clone(**{"use_" + own: value is not None})
            if value is None:
                self.variables[collection].pop(own, None)
            else:
                self.variables[collection][own] = to_jax(value).astype(self.module.param_dtype)
            self.trained[name], self.grads[name] = True, None
        elif name in PLACES and value is not None:
            collection, own = PLACES[name]
            self.variables[collection][own] = to_jax(value).astype(self.held(name).dtype)
        else:
            raise Unsupported(f"{name} cannot be set to {value}: there are always running statistics, and no counter")

    def set_requires_grad(self, name, required):
        self.trained[name] = required

    def cast(self, names, dtype):
        for name in names:
            collection, own = PLACES[name]
            if self.held(name) is not None:
                self.variables[collection][own] = self.held(name).astype(JAX[dtype])
                if name in PARAMETERS and self.grads[name] is not None:
                    self.grads[name] = self.grads[name].astype(JAX[dtype])

    def load_state(self, entries, version):
        state = {"params": {}, "batch_stats": {}}
        for name, tensor in entries.items():
            collection, own = PLACES.get(name, ("params", name))
            state[collection][own] = to_jax(tensor)
        try:
            self.variables = flax.serialization.from_state_dict(self.variables, state)
        except ValueError as error:
            raise LayerError("missing_entry", str(error)) from error
        return [], [], []

    def state(self):
        return {name: from_jax(self.held(name)) for name in PLACES if self.held(name) is not None}


class Flax(Backend):
    cases = 0

    name = "flax"
    version = f"flax {flax.__version__} (jax {jax.__version__})"
    about = "flax.linen.BatchNorm with axis=1, its parameters and statistics kept between the steps"
    lacks = {
        "cumulative_average": "momentum is a number",
        "untracked": "there are always running statistics",
        "layouts": "arrays of JAX have no strides",
    }
    unobservable = {"num_batches_tracked": "there is no counter"}

    def unsupported(self, request):
        Flax.cases += 1
        if Flax.cases % KEPT == 0:
            jax.clear_caches()
        return None

    def create(self, config):
        return FlaxLayer(config)

    def error_class(self, error):
        if isinstance(error, flax.errors.ScopeParamShapeError):
            return "wrong_features"
        return "other" if isinstance(error, (ValueError, TypeError, flax.errors.FlaxError)) else None


if __name__ == "__main__":
    serve(Flax())
