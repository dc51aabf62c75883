STATE = ("running_mean", "running_var", "num_batches_tracked", "weight", "bias")

now = ""  # the step
compared = 0  # tensors and errors
differences = []  # those of them that are not as expected
expected = {}  # what is expected of the layers' own tensors, until a step says something else
told = set()  # of which tensors this step has said it


def step(words):
    """Begins a step."""
    global now
    now = words
    told.clear()
    print(f"\n{words}")


def expect(name, got, dtype, shape, values, within=0.0):
    """What a tensor has to be: each element as far from the one of `values` as it may be, `within`."""
    told.add(name)
    if name.rpartition(".")[2] in STATE:
        expected[name] = (dtype, shape, values, within)
    say(name, got, difference(got, dtype, shape, values, within))


def expect_none(name, got):
    """A tensor that there has to be none of."""
    expect(name, got, None, None, None)


def unchanged():
    """Of what this step has said nothing, everything that the layers hold has to be as expected before."""
    same = []
    for name, expectation in expected.items():
        if name in told:
            continue
        path, _, attribute = name.rpartition(".")
        got = getattr(layers[path], attribute)
        wrong = difference(got, *expectation)
        if wrong:
            say(name, got, wrong)
        else:
            same.append(name)
    if same:
        say("as before", ", ".join(same), None, len(same))


def difference(got, dtype, shape, values, within):
    """What is wrong with a tensor. Numbers may be so far away; NaN and infinities have to be the same."""
    if dtype is None:
        return None if got is None else "there should be none"
    if got is None:
        return f"there should be one, of {dtype} and shape {shape}"
    if got.dtype != dtype or got.shape != shape:
        return f"it is of {got.dtype} and shape {tuple(got.shape)} instead of {dtype} and {shape}"
    got = got.detach().double()
    values, within = (
        torch.as_tensor(given, dtype=torch.float64).reshape(-1).expand(got.numel()).reshape(shape)
        for given in (values, within)
    )
    used = (got - values).abs() / within
    ok = (used <= 1) | (got == values) | (got.isnan() & values.isnan())
    # An infinity is right where the number, or one as near as it may be, is too large for the type.
    ok |= got.isinf() & ((values + within.copysign(got)).to(dtype).double() == got)
    # Where a sound implementation may overflow, anything goes; where one makes NaN of infinities, no number does.
    ok |= within.isposinf() | (within.isnan() & (values.isfinite() | ~got.isfinite()))
    if ok.all():
        return None
    used = used.nan_to_num(nan=float("inf"), posinf=float("inf")).masked_fill(ok, -1.0)
    worst = tuple((used == used.max()).nonzero()[0].tolist())
    return (
        f"{int((~ok).sum())} of {ok.numel()} elements, worst {list(worst)}: {got[worst].item()} "
        f"instead of {values[worst].item()}, from which it may be {within[worst].item()} away"
    )


def say(name, got, wrong, count=1):
    """Prints what PyTorch answers, and what is wrong with it."""
    global compared
    compared += count
    if isinstance(got, torch.Tensor):
        first = ", ".join(f"{number:.9g}" for number in got.detach().flatten()[:6].tolist())
        got = first if got.dim() == 0 else f"[{first}{', ...' if got.numel() > 6 else ''}]"
    print(f"  {'differs' if wrong else 'ok':<8} {name}: {got}")
    if wrong:
        print(f"           {wrong}")
        differences.append(f"{now}: {name}: {wrong}")


def raised(error, why):
    """A step that has to raise an error; the words are PyTorch's own."""
    wrong = f"there should be one ({why})" if error is None else None
    say("error", f"{type(error).__name__}: {' '.join(str(error).split())} ({why})", wrong)


def finish():
    """Says how it went, and ends."""
    print()
    for line in differences:
        print(f"differs: {line}")
    if not differences:
        print(f"ok: all {compared} answers are as expected")
    raise SystemExit(1 if differences else 0)
