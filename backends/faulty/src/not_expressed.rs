//! Known mistakes that no case can show.

/// Known ways of getting batch normalization wrong that are not in the catalogue, and why not.
pub static NOT_EXPRESSED: &[(&str, &str)] = &[
    (
        "a serial sum in f32 that stands still at 2^24 terms",
        "the same code as a sound sequential sum below some ten million values, more than a case should have",
    ),
    (
        "sums of f32 that overflow though the mean is finite, and deviations that do when squared",
        "any sound algorithm in f32 may overflow there, so that nothing is judged: for f16, which is summed in f32, \
         there are faults",
    ),
    (
        "the folded form x·a + b in the type of the computation",
        "a sound implementation's error is as large, PyTorch's own kernels do it: with constants in the type of a half \
         input it is a fault",
    ),
    (
        "sums whose order differs from run to run",
        "a case is answered once, and every order is within the budget",
    ),
    ("a tolerance that hides errors of a percent", "a mistake of tests, which the budgets are the answer to"),
    ("a gradient of ones that hides the backward's mistakes", "a mistake of tests: the cases have others"),
    (
        "offsets in 32 bits that overflow, and limits of libraries on huge batches",
        "tensors of more than 2^31 elements, or of some hundred thousand samples, are too large for a case",
    ),
    (
        "the gradient of weight as (Σ dy·x - mean·Σ dy)/σ",
        "it cancels where the mean is large, and no more than a sound x̂, whose mean is off by as much",
    ),
    (
        "a graph that is kept under no_grad",
        "whether there is one to go back through is the model's to say, which is the same for all backends",
    ),
    (
        "strides of running statistics and parameters that are ignored",
        "these are always contiguous in a case",
    ),
    ("the memory format of the output", "elements are compared, not where they lie"),
    ("inputs of more than five dimensions", "torch.nn's layers refuse them"),
    ("races and missing barriers", "a fault does the same wrong thing every time"),
    ("layers shared between threads or devices", "a case runs on one"),
    ("statistics that stay in the graph and keep memory", "memory is not observed"),
    (
        "running statistics that require a gradient",
        "a case asks gradients of the input, weight and bias alone",
    ),
    ("the backward's own gradient", "a case goes back once"),
    (
        "statistics gathered over several processes",
        "a case has one: parts of unequal size merged alike are a fault",
    ),
    (
        "differences between two correct implementations",
        "there is no mistake: the budget has room for either",
    ),
    ("an eps of 0 with a variance of 0", "torch.nn refuses an eps of 0; that it does is checked"),
    ("convolution and normalization folded into one", "a case has no convolution"),
    ("Caffe's third blob, a factor on both statistics", "no file of Caffe's is read"),
    ("values that a mask leaves out of the count", "torch.nn's layers know no mask"),
    ("switches of the GPU's library that are ignored", "they change no number"),
    (
        "signs of zeros",
        "the oracle's sign depends on the order of its additions: zeros of either sign are equal",
    ),
];
