"""Times PyTorch's own batch norm on a GPU, for `bncheck gpu-check`, which runs this and reads its lines.

On standard input, JSON: {"milliseconds": 2, "samples": 7, "subjects": [{"shape": [N, C, H, W], "dtype": "f32",
"layout": "contiguous"}, ...]}. On standard output, a line of JSON each: who measures, or {"absent": why}; then a time
for each subject, pass, kernels and way of calling. With "cpu": true it runs on the CPU, only to see whether it runs.
"""

import json
import os
import statistics
import sys
import time

EPS, MOMENTUM = 1e-5, 0.1
MOST_REPETITIONS = 100_000
CALLS_OF_A_GRAPH = 10
PASSES = ["forward eval", "forward train", "backward train", "backward eval"]


def say(**what):
    print(json.dumps(what), flush=True)


def times(torch, plan, work, samples, repetitions):
    """Milliseconds of each sample, of so many repetitions."""
    if plan.get("cpu"):
        marks = [time.perf_counter()]
        for _ in range(samples):
            for _ in range(repetitions):
                work()
            marks.append(time.perf_counter())
        return [1000 * (end - start) for start, end in zip(marks, marks[1:])]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(samples + 1)]
    marks[0].record()
    for mark in marks[1:]:
        for _ in range(repetitions):
            work()
        mark.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in zip(marks, marks[1:])]


def micros(torch, plan, work):
    """Microseconds of one repetition: warmed up, repeated to last, the median of the samples; as bench/timer.rs does it."""
    times(torch, plan, work, 1, 1)
    repetitions = 1
    for _ in range(12):
        took = times(torch, plan, work, 1, repetitions)[0]
        if took >= plan["milliseconds"] or repetitions >= MOST_REPETITIONS:
            break
        factor = min(10, 1.25 * plan["milliseconds"] / max(took, 1e-6))
        repetitions = min(max(repetitions + 1, round(repetitions * factor)), MOST_REPETITIONS)
    return 1000 * statistics.median(times(torch, plan, work, plan["samples"], repetitions)) / repetitions


def calls(torch, plan, subject):
    """What is timed, by pass: functions without arguments."""
    dtype = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}[subject["dtype"]]
    of_layer = dtype if subject["dtype"] == "f64" else torch.float32
    layout = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[subject["layout"]]
    device = "cpu" if plan.get("cpu") else "cuda"

    def tensor():
        return torch.randn(subject["shape"], device=device).to(dtype).contiguous(memory_format=layout)

    def channels():
        return torch.rand(subject["shape"][1], device=device, dtype=of_layer) + 0.5

    x, dy = tensor(), tensor()
    weight, bias, mean, var = (channels() for _ in range(4))

    def forward(training):
        return torch.nn.functional.batch_norm(x, mean, var, weight, bias, training, MOMENTUM, EPS)

    def forward_alone(training):
        def work():
            with torch.no_grad():
                return forward(training)

        return work

    def backward_alone(training):
        wanted = (x, weight, bias)
        for one in wanted:
            one.requires_grad_()
        y = forward(training)
        return lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)

    return {
        "forward eval": lambda: forward_alone(False),
        "forward train": lambda: forward_alone(True),
        "backward train": lambda: backward_alone(True),
        "backward eval": lambda: backward_alone(False),
    }


def graphed(torch, stream, work):
    """The calls recorded as a CUDA graph: what replays it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(CALLS_OF_A_GRAPH):
            work()
    return graph.replay


def measure(torch, plan, stream, graph):
    for number, subject in enumerate(plan["subjects"]):
        for cudnn in [True, False]:
            torch.backends.cudnn.enabled = cudnn
            for name in PASSES:
                line = {"subject": number, "pass": name, "cudnn": cudnn, "graph": graph}
                try:
                    # Which kernels a backward takes is settled by its forward.
                    work = calls(torch, plan, subject)[name]()
                    if graph:
                        work()
                        line["micros"] = micros(torch, plan, graphed(torch, stream, work)) / CALLS_OF_A_GRAPH
                    else:
                        line["micros"] = micros(torch, plan, work)
                except RuntimeError as error:
                    line["problem"] = str(error).splitlines()[0] if str(error) else type(error).__name__
                say(**line)


def main():
    plan = json.load(sys.stdin)
    try:
        import torch
    except (ImportError, OSError) as error:
        return say(absent=f"it cannot import torch: {error}")
    if plan.get("cpu"):
        say(torch=torch.__version__, cuda="none", cudnn="none", device="cpu")
        return measure(torch, plan, None, False)
    if not torch.cuda.is_available():
        return say(absent=f"its PyTorch {torch.__version__} sees no GPU")
    torch.cuda.set_device(int(os.environ.get("BNCHECK_CUDA_DEVICE") or 0))
    say(
        torch=torch.__version__,
        cuda=str(torch.version.cuda),
        cudnn=str(torch.backends.cudnn.version()),
        device=torch.cuda.get_device_name(),
    )
    # Graphs are recorded on a stream that is not the default one; the forward of a backward has to be on it as well.
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        measure(torch, plan, stream, False)
        # A recording that fails may leave its traces: so these come last.
        measure(torch, plan, stream, True)


main()
