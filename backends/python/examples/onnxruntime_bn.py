#!/usr/bin/env python3
"""ONNX Runtime's operator BatchNormalization (opset 15) on the CPU, as a backend of bncheck:

bncheck run --backend-cmd 'python3 backends/python/examples/onnxruntime_bn.py'

The operator has no state and no gradients. What is around it in PyTorch's module comes from bncheck_backend.
"""

import functools

import numpy as np

from bncheck_backend import Kernel, LayerError, Tensor, Unsupported, computing, needs, serve

ort = needs("onnxruntime", backend="onnxruntime", install="pip install onnxruntime onnx")
onnx = needs("onnx", backend="onnxruntime", install="pip install onnxruntime onnx")

raised = ort.capi.onnxruntime_pybind11_state

OPSET = 15
TYPES = {"f16": onnx.TensorProto.FLOAT16, "f32": onnx.TensorProto.FLOAT, "f64": onnx.TensorProto.DOUBLE}
INPUTS = ("X", "scale", "B", "input_mean", "input_var")
OUTPUTS = ("Y", "running_mean", "running_var")


# Cumulative averages have a momentum for each batch.
@functools.lru_cache(maxsize=512)
def session(types, rank, training, epsilon, momentum):
    """The operator alone, as a model for inputs of these types."""
    outputs = OUTPUTS if training else OUTPUTS[:1]
    node = onnx.helper.make_node(
        "BatchNormalization", INPUTS, outputs, epsilon=epsilon, momentum=momentum, training_mode=int(training)
    )
    of = dict(zip((*INPUTS, *OUTPUTS), (*types, types[0], *types[3:])))
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "batch_normalization",
        [value(name, TYPES[of[name]], [None] * (rank if name == "X" else 1)) for name in INPUTS],
        [value(name, TYPES[of[name]], None) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class OnnxRuntime(Kernel):
    name = "onnxruntime"
    version = f"onnxruntime {ort.__version__}"
    about = "ONNX Runtime's BatchNormalization on the CPU, within PyTorch's module rules; forward only"
    dtypes = ["f16", "f32", "f64"]
    lacks = {"layouts": "tensors of ONNX Runtime are contiguous"}
    unobservable = {
        name: "an operator of an inference engine has no gradients" for name in ("grad_input", "grad_weight", "grad_bias")
    }

    def unsupported(self, request):
        if any("sgd" in step for step in request["steps"]):
            return "there are no gradients to descend along"
        return None

    def forward(self, call):
        x, features = call.input, call.input.shape[1]
        ones, zeros = np.ones(features), np.zeros(features)
        # The operator always has all of them; PyTorch's own export to ONNX writes ones and zeros as well.
        given = [
            x,
            Tensor.rounded(ones, x.dtype) if call.weight is None else call.weight,
            Tensor.rounded(zeros, x.dtype) if call.bias is None else call.bias,
            Tensor.rounded(zeros, x.dtype) if call.running_mean is None else call.running_mean,
            Tensor.rounded(ones, x.dtype) if call.running_var is None else call.running_var,
        ]
        types = tuple(tensor.dtype for tensor in given)
        # The operator's momentum weighs what was, PyTorch's what is new.
        momentum = 1 - call.factor if call.use_batch_stats else 0.9
        try:
            run = session(types, len(x.shape), call.use_batch_stats, call.eps, momentum).run
        except raised.NotImplemented as error:
            raise Unsupported(f"ONNX Runtime has no kernel for {', '.join(types)}") from error
        except (raised.Fail, raised.InvalidGraph) as error:
            error_class = "dtype_mismatch" if "Type Error" in str(error) else "other"
            raise LayerError(error_class, str(error)) from error
        arrays = {name: tensor.array for name, tensor in zip(INPUTS, given)}
        with computing():
            outputs = run(None, arrays)
        if call.use_batch_stats:
            call.running_mean, call.running_var = outputs[1:]
        return outputs[0], None


if __name__ == "__main__":
    serve(OnnxRuntime())
