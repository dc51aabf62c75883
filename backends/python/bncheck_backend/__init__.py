"""Has bncheck judge a batch normalization written in Python.

Derive from `Kernel` where yours is a function without state, or from `Backend` and `Layer` where it is a layer with its
own, and hand it to `serve`. docs/adding-a-backend-in-any-language.md goes through it step by step.
"""

from .backend import Backend, Forward, Kernel, Layer, LayerError, Unsupported, Wanted
from .clock import computing
from .needs import needs
from .serve import serve
from .tensor import Tensor

__all__ = ["Backend", "Forward", "Kernel", "Layer", "LayerError", "Tensor", "Unsupported", "Wanted", "computing", "needs", "serve"]
