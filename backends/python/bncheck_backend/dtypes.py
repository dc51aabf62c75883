"""Which types go together in PyTorch's `batch_norm`, as measured with PyTorch 2.11 on the CPU."""

TORCH = {"f16": "Half", "bf16": "BFloat16", "f32": "Float", "f64": "Double", "i64": "Long"}
HALF = ("f16", "bf16")


def refusal(x, tensors):
    """Why PyTorch refuses an input of type `x` with weight, bias, running mean and running variance of `tensors`' types, or
    `None`. Those that are missing, or not handed over, are `None` or left out."""
    if x == "i64":
        return f'"batch_norm" not implemented for {x}'
    present = [dtype for dtype in tensors if dtype is not None]
    if not present:
        return None
    if present[0] == x:
        other = next((dtype for dtype in present if dtype != x), None)
        return other and f"expected scalar type {TORCH[x]} but found {TORCH[other]}"
    if x not in HALF:
        return "mixed dtype (CPU): all inputs must share same datatype."
    if any(dtype != "f32" for dtype in present):
        return "mixed dtype (CPU): expect parameter to have scalar type of Float"
    return None


def moves_before_it_refuses(x, tensors):
    """Whether a refused training forward has moved the running statistics all the same: the bias is looked at last."""
    weight, bias, mean, var = tensors
    return x != "i64" and weight == mean == var == x and bias not in (None, x)
