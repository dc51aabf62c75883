#!/usr/bin/env python3
"""PyTorch's own layers, `torch.nn.BatchNorm1d`, `2d` and `3d`, on the CPU, as a backend of bncheck:

bncheck run --backend-cmd 'python3 backends/python/examples/torch_nn.py'
"""

import re
import warnings

import numpy as np

from bncheck_backend import Backend, Layer, Tensor, computing, needs, serve

torch = needs("torch", backend="torch-nn", install="pip install torch==2.11.0")

TORCH = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64, "i64": torch.int64}
NAMES = {dtype: name for name, dtype in TORCH.items()}

PARAMETERS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")
COUNTER = "num_batches_tracked"

# The class of what PyTorch raises; the first pattern that is found in the message counts.
ERRORS = [
    ("Expected more than 1 value per channel", "one_value_per_channel"),
    ("eps must be positive", "eps_not_positive"),
    (r"expected .*D.* input", "wrong_rank"),
    (r"should contain \d+ elements", "wrong_features"),
    (r"select\(\): index 0 out of range", "no_channels"),
    (r'scalar type|mixed dtype|same dtype|"batch_norm" not implemented for', "dtype_mismatch"),
    ("must either both be None or neither|must be defined in evaluation mode", "missing_buffer"),
    ("'NoneType' object has no attribute", "missing_buffer"),
    ("modified by an inplace operation", "graph_changed"),
    ("does not require grad", "no_graph"),
]

# Arrays that several elements of a tensor share are not writable, which from_numpy warns of; nothing writes to them.
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


def to_torch(tensor):
    """The same bits, lying in memory as they do."""
    return torch.from_numpy(tensor.array).view(TORCH[tensor.dtype])


def from_torch(tensor):
    name, tensor = NAMES[tensor.dtype], tensor.detach().contiguous()
    return Tensor(name, (tensor.view(torch.uint16) if name == "bf16" else tensor).numpy().copy())


class TorchLayer(Layer):
    def __init__(self, config):
        make = getattr(torch.nn, config.kind)
        self.module = make(
            config.features,
            eps=config.eps,
            momentum=config.momentum,
            affine=config.affine,
            track_running_stats=config.track_running_stats,
            dtype=TORCH[config.dtype],
        )
        self.types = dict.fromkeys(PARAMETERS, TORCH[config.dtype]) | dict.fromkeys(STATISTICS, TORCH[config.statistics_dtype])
        if config.track_running_stats:
            self.cast(STATISTICS, config.statistics_dtype)
            if config.num_batches_tracked is not None:
                self.module.num_batches_tracked.fill_(config.num_batches_tracked)
        with torch.no_grad():
            for name in PARAMETERS + STATISTICS:
                if getattr(config, name) is not None:
                    getattr(self.module, name).copy_(to_torch(getattr(config, name)))
        self.x = self.y = None

    def set_training(self, training):
        self.module.train(training)

    def forward(self, x, requires_grad, no_grad):
        self.x = to_torch(x).requires_grad_(requires_grad)
        with computing(), torch.set_grad_enabled(not no_grad):
            self.y = self.module(self.x)
        return from_torch(self.y), self.y.requires_grad

    def backward(self, grad_output):
        self.x.grad = None
        grad_output = to_torch(grad_output)
        with computing():
            self.y.backward(grad_output, retain_graph=True)
        return None if self.x.grad is None else from_torch(self.x.grad)

    def gradients(self):
        parameters = {name: getattr(self.module, name) for name in PARAMETERS}
        return {
            name: None if parameter is None or parameter.grad is None else from_torch(parameter.grad)
            for name, parameter in parameters.items()
        }

    def zero_grad(self):
        self.module.zero_grad()

    def sgd(self, lr):
        parameters = list(self.module.parameters())
        if parameters:
            torch.optim.SGD(parameters, lr=lr).step()

    def reset_running_stats(self):
        self.module.reset_running_stats()

    def set(self, name, value):
        if value is not None:
            if name == COUNTER:
                value = torch.tensor(value)
            elif name in self.types:
                value = to_torch(value).to(self.types[name], copy=True)
                value = torch.nn.Parameter(value) if name in PARAMETERS else value
        setattr(self.module, name, value)

    def set_requires_grad(self, name, required):
        if getattr(self.module, name) is not None:
            getattr(self.module, name).requires_grad = required

    def cast(self, names, dtype):
        if set(names) == {*PARAMETERS, *STATISTICS}:
            self.module.to(TORCH[dtype])
            return
        for name in names:
            tensor = getattr(self.module, name)
            if tensor is None:
                continue
            if name in STATISTICS:
                setattr(self.module, name, tensor.to(TORCH[dtype]))
                continue
            # What Module.to() does with each parameter: the tensor stays who it is.
            tensor.data = tensor.data.to(TORCH[dtype])
            if tensor.grad is not None:
                tensor.grad.data = tensor.grad.data.to(TORCH[dtype])

    def load_state(self, entries, version):
        # What Module.load_state_dict() calls for each module: the model's other layers are loaded before anything is raised.
        state = {name: to_torch(tensor) for name, tensor in entries.items()}
        missing, unexpected, errors = [], [], []
        self.module._load_from_state_dict(state, "", {"version": version}, True, missing, unexpected, errors)
        return missing, unexpected, [re.match(r"size mismatch for (\w+)", error)[1] for error in errors]

    def state(self):
        tensors = {name: getattr(self.module, name) for name in STATISTICS + PARAMETERS}
        counter = self.module.num_batches_tracked
        seen = {name: from_torch(tensor) for name, tensor in tensors.items() if tensor is not None}
        return {**seen, COUNTER: None if counter is None else int(counter)}


class TorchNN(Backend):
    name = "torch-nn"
    version = f"torch {torch.__version__}"
    about = "torch.nn.BatchNorm1d, 2d and 3d themselves, from Python"

    def create(self, config):
        return TorchLayer(config)

    def error_class(self, error):
        if not isinstance(error, (RuntimeError, ValueError, IndexError, AttributeError, TypeError, NotImplementedError)):
            return None
        return next((name for pattern, name in ERRORS if re.search(pattern, str(error))), "other")


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(TorchNN())
