"""What a backend derives from."""

from dataclasses import dataclass
from typing import Any, Optional

from .tensor import Tensor


class LayerError(Exception):
    """An error that a layer raises, of one of the classes that docs/protocol.md lists. It is behaviour, and compared."""

    def __init__(self, error_class, message):
        super().__init__(message)
        self.error_class = error_class


class Unsupported(Exception):
    """Raised anywhere on the way through a request: it cannot be expressed, and nothing of it is judged. The message is the
    reason."""


class Backend:
    """A batch-norm implementation: who it is, and how its layers are made."""

    # Its short name, as the results show it; letters, digits and `-`.
    name = "unnamed"
    # The version of what is judged.
    version = "0"
    # What it is, in a sentence.
    about = ""
    # The floating-point types that it computes with; `None` is all.
    dtypes = None
    # Why there is nothing to judge, with what to type: "mine is not installed: pip install mine"; `None`: it is there.
    absent = None
    # What it cannot express, each with the reason: {"cast": "layers have one type for good"}.
    lacks = {}
    # What cannot be seen of it, each with the reason: {"num_batches_tracked": "there is no counter"}; with "grad_input",
    # "grad_weight" and "grad_bias" a backward asks nothing of a kernel.
    unobservable = {}

    def unsupported(self, request):
        """Why this request cannot be expressed, beside `dtypes` and `lacks`; `None` when it can."""
        return None

    def create(self, config):
        """A new `Layer` in training mode. `config` has the arguments of `torch.nn.BatchNorm{1,2,3}d` (`kind`,
        `features`, `eps`, `momentum`, `affine`, `track_running_stats`, `dtype`, `statistics_dtype`) and the contents of
        `weight`, `bias`, `running_mean`, `running_var` (each a `Tensor`) and `num_batches_tracked`; those that are `None`
        stay as your constructor leaves them."""
        raise NotImplementedError

    def error_class(self, error):
        """The class of an exception that your implementation raised; `None` where it should not have been raised."""
        return None


class Layer:
    """A layer with its own state. What your backend lacks need not be there."""

    def set_training(self, training):
        """Training or evaluation mode."""
        raise NotImplementedError

    def forward(self, x, requires_grad, no_grad):
        """The output for the input `x`, both a `Tensor`, and whether it leads back to anything that requires a gradient.
        With `no_grad` no graph is kept."""
        raise NotImplementedError

    def backward(self, grad_output):
        """Goes back from the latest output. The gradient of the input, that of this call alone, or `None` where none was
        asked of it; those of weight and bias are added to what `gradients` gives. The graph stays."""
        raise NotImplementedError

    def gradients(self):
        """`{"weight": …, "bias": …}`: what has accumulated since `zero_grad`, `None` where there is none."""
        raise NotImplementedError

    def zero_grad(self):
        """Forgets the accumulated gradients."""
        raise NotImplementedError

    def sgd(self, lr):
        """`p -= lr · p.grad` for weight and bias, where they have a gradient."""
        raise NotImplementedError

    def reset_running_stats(self):
        """Running mean 0, running variance 1, counter 0."""
        raise NotImplementedError

    def set(self, name, value):
        """An assignment: to `momentum`, `eps`, `track_running_stats` or `num_batches_tracked`, or of a `Tensor` or `None`
        to `weight`, `bias`, `running_mean` or `running_var`."""
        raise NotImplementedError

    def set_requires_grad(self, name, required):
        """Whether `weight` or `bias` is trained. A layer that has neither need not do anything."""
        raise NotImplementedError

    def cast(self, names, dtype):
        """Converts those of its tensors that it has, and the gradients of its parameters with them."""
        raise NotImplementedError

    def load_state(self, entries, version):
        """Takes from a state dictionary, whose names are the layer's own, what fits, and says what does not: the lists
        `missing`, `unexpected` and `misshapen` of names."""
        raise NotImplementedError

    def state(self):
        """Everything that can be seen now: `running_mean`, `running_var`, `weight`, `bias`, each a `Tensor`, and
        `num_batches_tracked`, a whole number; what is not there is left out or `None`."""
        raise NotImplementedError


@dataclass
class Forward:
    """One call of a kernel's forward: the arguments of `torch.nn.functional.batch_norm`."""

    # Of shape (N, C, …); its array lies in memory as the case asks for.
    input: Tensor
    # Gamma and beta, each of shape (C), or `None`.
    weight: Optional[Tensor]
    bias: Optional[Tensor]
    # Read when `use_batch_stats` is off. When it is on, they are to be moved: assign the new arrays. `None`: there are none.
    running_mean: Any
    running_var: Any
    # Whether to normalise with the batch's statistics.
    use_batch_stats: bool
    # The weight of the new batch in the running statistics.
    factor: float
    # Added to the variance inside the root.
    eps: float


@dataclass(frozen=True)
class Wanted:
    """Which gradients are asked for; the others may be `None`."""

    input: bool
    weight: bool
    bias: bool


class Kernel(Backend):
    """A batch norm without state of its own. The rules of PyTorch's module come around it: modes, counter, averaging
    factor, what is refused and how, gradients that accumulate, casts, state dictionaries, empty batches."""

    def forward(self, call):
        """The output for a `Forward` call, as an array or a `Tensor`, and whatever `backward` is to be given. Arrays are
        rounded, once, to the type that is due."""
        raise NotImplementedError

    def backward(self, saved, grad_output, wanted):
        """The gradients of input, weight and bias that one backward gives, given that of the output, a `Tensor` that lies
        in memory as the case asks for. The input's has the input's shape, the others (C)."""
        raise NotImplementedError

    def create(self, config):
        from .module import ModuleLayer

        return ModuleLayer(self, config)
