frozen = {}  # what train() of a part freezes again


def layers_of(part, children_only):
    """The layers of a part; those that are its own children, as a loop over children() finds them, or all."""
    found = part.children() if children_only else part.modules()
    return [module for module in found if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]


def freeze(part, statistics=False, affine=False, children_only=False):
    """Freezes layers, once."""
    for layer in layers_of(part, children_only):
        if statistics:
            layer.eval()
        if affine:
            for parameter in layer.parameters():
                parameter.requires_grad = False


def freeze_in_train(part, **what):
    """Freezes layers, and gives their part a train() that does it again, as a subclass of it would have."""
    freeze(part, **what)
    frozen.setdefault(part, []).append(what)

    def train(mode=True):
        # Meanwhile the inherited one is back: eval() of a layer that is its own part calls train().
        del part.train
        part.train(mode)
        for each in frozen[part]:
            freeze(part, **each)
        part.train = train
        return part

    part.train = train


def unfreeze(part, statistics=False, affine=False, children_only=False):
    """The opposite of both."""
    for what in frozen.get(part, []):
        if statistics:
            what["statistics"] = False
        if affine:
            what["affine"] = False
    for layer in layers_of(part, children_only):
        if affine:
            for parameter in layer.parameters():
                parameter.requires_grad = True
        if statistics:
            layer.train()
