"""From a kernel to a layer: the rules of PyTorch's module.

Sources: torch/nn/modules/batchnorm.py, torch/nn/modules/module.py and torch/nn/functional.py of PyTorch 2.11. The same
rules stand in backends/api/src/module.rs.
"""

import numpy as np

from . import dtypes
from .backend import Forward, Layer, LayerError, Wanted
from .clock import CLOCK
from .tensor import Tensor

PARAMETERS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")
SLOTS = PARAMETERS + STATISTICS
COUNTER = "num_batches_tracked"
RANKS = {"BatchNorm1d": (2, 3), "BatchNorm2d": (4,), "BatchNorm3d": (5,)}


class _Graph:
    """The graph of the latest forward."""

    def __init__(self, saved, wanted, refers_to, output_dtype, shape):
        self.saved = saved
        # What required a gradient at the forward.
        self.wanted = wanted
        # The tensors of the layer that it refers to, and that must not be changed in place.
        self.refers_to = refers_to
        self.changed = False
        self.output_dtype = output_dtype
        self.shape = shape


class ModuleLayer(Layer):
    """`torch.nn.BatchNorm{1,2,3}d` around a kernel."""

    def __init__(self, kernel, config):
        self.kernel = kernel
        self.kind, self.features = config.kind, config.features
        self.eps, self.momentum, self.track = config.eps, config.momentum, config.track_running_stats
        self.training = True
        # The types that new tensors get.
        self.types = {name: config.dtype if name in PARAMETERS else config.statistics_dtype for name in SLOTS}
        self.tensors = {}
        for name, there, value in [
            ("weight", config.affine, 1.0),
            ("bias", config.affine, 0.0),
            ("running_mean", self.track, 0.0),
            ("running_var", self.track, 1.0),
        ]:
            given = getattr(config, name)
            new = Tensor.full((self.features,), value, self.types[name]) if given is None else given.cast(self.types[name])
            self.tensors[name] = new if there else None
        self.counter = (config.num_batches_tracked or 0) if self.track else None
        self.grads = dict.fromkeys(PARAMETERS)
        self.requires_grad = dict.fromkeys(PARAMETERS, True)
        self.graph = None

    def _hands_buffers(self):
        """Whether the buffers are handed to the kernel: in training only to be moved."""
        return not self.training or self.track

    def _handed(self, name):
        return self.tensors[name] if name in PARAMETERS or self._hands_buffers() else None

    def _check(self, x, use_batch_stats):
        """What PyTorch refuses before and within its kernel. The counter has moved by then."""
        values = x.shape[0] * int(np.prod(x.shape[2:], dtype=np.int64))
        if use_batch_stats and values == 1:
            message = f"Expected more than 1 value per channel when training, got input size {list(x.shape)}"
            raise LayerError("one_value_per_channel", message)
        if self.eps <= 0:
            raise LayerError("eps_not_positive", f"batch_norm eps must be positive, but got {self.eps}")
        has_parameters = any(self.tensors[name] is not None for name in PARAMETERS)
        # An empty input is scaled by the first weight and moved by the first bias, which must be there, and nothing else is
        # looked at.
        if x.size == 0 or self.features == 0:
            if has_parameters and self.features == 0:
                raise LayerError("no_channels", "select(): index 0 out of range for tensor of size [0] at dimension 0")
            return
        mean, var = (self._handed(name) for name in STATISTICS)
        sized = has_parameters or mean is not None or var is not None
        if sized and x.shape[1] != self.features and (use_batch_stats or mean is not None):
            message = f"{x.shape[1]} channels for a layer of {self.features} features"
            raise LayerError("wrong_features", message)
        if (mean is None) != (var is None):
            if use_batch_stats:
                message = "running_mean and running_var must either both be None or neither be None"
            else:
                message = f"running_{'mean' if mean is None else 'var'} must be defined in evaluation mode"
            raise LayerError("missing_buffer", message)

    def set_training(self, training):
        self.training = training

    def forward(self, x, requires_grad, no_grad):
        # A step that fails leaves nothing to go back through.
        self.graph = None
        if len(x.shape) not in RANKS[self.kind]:
            raise LayerError("wrong_rank", f"{self.kind} takes no input of rank {len(x.shape)}")
        # The counter moves first: a batch that is refused below has been counted.
        factor = self.momentum or 0.0
        if self.training and self.track and self.counter is not None:
            # As an int64 does.
            self.counter = (self.counter + 1 + 2**63) % 2**64 - 2**63
            if self.momentum is None:
                with np.errstate(all="ignore"):
                    factor = float(np.float64(1.0) / np.float64(self.counter))
        # Without buffers there are only the batch's statistics, in either mode.
        use_batch_stats = self.training or all(self.tensors[name] is None for name in STATISTICS)
        self._check(x, use_batch_stats)
        handed = [self._handed(name) for name in SLOTS]
        types = [tensor and tensor.dtype for tensor in handed]
        refused = dtypes.refusal(x.dtype, types) if x.size else None
        if refused and not (use_batch_stats and dtypes.moves_before_it_refuses(x.dtype, types)):
            raise LayerError("dtype_mismatch", refused)
        weight, bias, mean, var = handed
        output_dtype = x.dtype
        if x.dtype == "i64":
            output_dtype = next((tensor.dtype for tensor in (weight, bias) if tensor is not None), "i64")
        saved = None
        if x.size == 0:
            # An empty batch has no statistics and moves none.
            output = Tensor.full(x.shape, 0.0, output_dtype)
        else:
            call = Forward(x, weight, bias, mean, var, use_batch_stats, factor, self.eps)
            with np.errstate(all="ignore"), CLOCK.calling():
                output, saved = self.kernel.forward(call)
            if use_batch_stats and mean is not None and var is not None:
                self.tensors["running_mean"] = _due(call.running_mean, mean.dtype, mean.shape, "running_mean")
                self.tensors["running_var"] = _due(call.running_var, var.dtype, var.shape, "running_var")
            if refused:
                raise LayerError("dtype_mismatch", refused)
            output = _due(output, output_dtype, x.shape, "output")
        required = {name: self.tensors[name] is not None and self.requires_grad[name] for name in PARAMETERS}
        wanted = Wanted(requires_grad, required["weight"], required["bias"])
        leads_back = (wanted.input or wanted.weight or wanted.bias) and not no_grad
        if leads_back:
            refers_to = {"weight"} if weight is not None else set()
            if mean is not None and var is not None and x.size:
                refers_to |= set(STATISTICS)
            self.graph = _Graph(saved, wanted, refers_to, output_dtype, x.shape)
        return output, leads_back

    def backward(self, grad_output):
        graph = self.graph
        if graph is None:
            raise LayerError("no_graph", "there is no graph: the latest forward kept none")
        if graph.changed:
            message = "one of the variables needed for gradient computation has been modified by an inplace operation"
            raise LayerError("graph_changed", message)
        # What required a gradient at the forward must still do so now.
        still = {name: self.tensors[name] is not None and self.requires_grad[name] for name in PARAMETERS}
        wanted = Wanted(
            graph.wanted.input, graph.wanted.weight and still["weight"], graph.wanted.bias and still["bias"]
        )
        if not (wanted.input or wanted.weight or wanted.bias) or "grad_input" in self.kernel.unobservable:
            return None
        if grad_output.size == 0:
            new = (np.zeros(graph.shape), np.zeros(self.features), np.zeros(self.features))
        else:
            with np.errstate(all="ignore"), CLOCK.calling():
                new = self.kernel.backward(graph.saved, grad_output, wanted)
        for name, grad in zip(PARAMETERS, new[1:]):
            if getattr(wanted, name):
                tensor = self.tensors[name]
                self.grads[name] = accumulated(self.grads[name], _due(grad, tensor.dtype, tensor.shape, f"grad_{name}"))
        return _due(new[0], graph.output_dtype, graph.shape, "grad_input") if wanted.input else None

    def gradients(self):
        return dict(self.grads)

    def zero_grad(self):
        self.grads = dict.fromkeys(PARAMETERS)

    def sgd(self, lr):
        if self.grads["weight"] is not None:
            self._touch("weight")
        for name in PARAMETERS:
            tensor, grad = self.tensors[name], self.grads[name]
            if tensor is not None and grad is not None:
                self.tensors[name] = descended(tensor, grad, lr)

    def reset_running_stats(self):
        # The attribute decides, not whether there is anything to reset.
        if not self.track:
            return
        for name, value in zip(STATISTICS, (0.0, 1.0)):
            tensor = self.tensors[name]
            if tensor is None:
                raise LayerError("missing_buffer", f"{name} is None and cannot be reset")
            self.tensors[name] = Tensor.full(tensor.shape, value, tensor.dtype)
            self._touch(name)
        if self.counter is None:
            raise LayerError("missing_buffer", f"{COUNTER} is None and cannot be reset")
        self.counter = 0

    def set(self, name, value):
        if name == "track_running_stats":
            # The buffers stay as they are, or stay away.
            self.track = value
        elif name == COUNTER:
            self.counter = value
        elif name in SLOTS:
            if self.graph is not None:
                # The graph keeps what it refers to; what happens to the new tensor is nothing to it.
                self.graph.refers_to.discard(name)
                if name in PARAMETERS:
                    w = self.graph.wanted
                    self.graph.wanted = Wanted(w.input, w.weight and name != "weight", w.bias and name != "bias")
            self.tensors[name] = value and value.cast(self.types[name])
            if name in PARAMETERS:
                self.grads[name] = None
                self.requires_grad[name] = True
        else:
            setattr(self, name, value)

    def set_requires_grad(self, name, required):
        self.requires_grad[name] = required

    def cast(self, names, dtype):
        for name in names:
            if self.tensors[name] is not None:
                self.tensors[name] = self.tensors[name].cast(dtype)
            if self.grads.get(name) is not None:
                self.grads[name] = self.grads[name].cast(dtype)

    def load_state(self, entries, version):
        missing, unexpected, misshapen, known = [], [], [], []
        for name in SLOTS:
            held = self.tensors[name]
            if held is None:
                continue
            known.append(name)
            entry = entries.get(name)
            if entry is None:
                missing.append(name)
            elif entry.shape != held.shape:
                misshapen.append(name)
            else:
                self.tensors[name] = entry.cast(held.dtype)
                self._touch(name)
        # Dictionaries from before version 2 have no counter; a layer that tracks keeps the one it has.
        excused = version < 2 and self.track
        entry = entries.get(COUNTER)
        if self.counter is not None:
            known.append(COUNTER)
            if entry is None:
                missing += [] if excused else [COUNTER]
            elif entry.shape in ((), (1,)):
                # One of shape (1), as before PyTorch 0.4, goes as well.
                self.counter = int(entry.array.reshape(-1)[0])
            else:
                misshapen.append(COUNTER)
        elif entry is None and excused:
            # Where the layer has none either, it is given one, which then is an entry too many.
            unexpected.append(COUNTER)
        unexpected += [name for name in entries if name not in known]
        return missing, unexpected, misshapen

    def state(self):
        return {**self.tensors, COUNTER: self.counter}

    def _touch(self, name):
        """Notes that a tensor was changed in place."""
        if self.graph is not None and name in self.graph.refers_to:
            self.graph.changed = True


def _due(values, dtype, shape, name):
    """What a kernel gave, as the tensor that is due: a `Tensor` as it is, an array rounded once."""
    tensor = values if isinstance(values, Tensor) else Tensor.rounded(values, dtype)
    if tuple(tensor.shape) != tuple(shape):
        raise TypeError(f"{name} has shape {tuple(tensor.shape)}, where {tuple(shape)} is due")
    return tensor


def accumulated(old, new):
    """A gradient added to what is there, each sum rounded once."""
    if old is None:
        return new
    with np.errstate(all="ignore"):
        return Tensor.rounded(old.values() + new.values(), old.dtype)


def descended(tensor, grad, lr):
    """p - lr·g as `torch.optim.SGD` computes it: with lr in the type of the computation, and multiplication and addition
    fused, which means rounded once."""
    p, g = tensor.values(), grad.values()
    with np.errstate(all="ignore"):
        if tensor.dtype == "f64":
            moved = [_fused(-lr, one, to) for one, to in zip(g.reshape(-1), p.reshape(-1))]
            return Tensor.rounded(np.array(moved).reshape(p.shape), "f64")
        # Of 24 bits each, the product is exact in float64; the sum is rounded to odd there, then to float32.
        product = np.float64(-np.float32(lr)) * g
        total = p + product
        back = total - p
        lost = (p - (total - back)) + (product - back)
        even = total.view(np.int64) & 1 == 0
        step = np.isfinite(total) & np.isfinite(lost) & (lost != 0) & even
        odd = np.where(step, np.nextafter(total, np.copysign(np.inf, lost)), total)
        return Tensor.rounded(odd.astype(np.float32).astype(np.float64), tensor.dtype)


def _fused(a, b, c):
    """a·b + c, rounded once."""
    from fractions import Fraction

    if not np.all(np.isfinite([a, b, c])):
        return a * b + c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    try:
        return float(exact) if exact else float(a) * float(b) + float(c)
    except OverflowError:
        return np.copysign(np.inf, float(1 if exact > 0 else -1))
