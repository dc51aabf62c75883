inputs, outputs = {}, {}  # of each layer, in the latest forward


def keep(path):
    def hook(layer, given, output):
        if given[0].requires_grad:
            given[0].retain_grad()  # what is inside a model is no leaf: its gradient would be thrown away
        inputs[path], outputs[path] = given[0], output

    return hook


for path, layer in layers.items():
    layer.register_forward_hook(keep(path))
