//! What a kernel's pointers point to, as its name and the structures in `kernels/` say.

use bn_api::DType;

/// A number in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// A floating-point number: of two NaN the bits may differ, as IEEE 754 does not say which they are.
    Float(DType),
    /// Bits, so many bytes of them.
    Bits(usize),
}

impl Cell {
    /// Its size in bytes.
    pub fn size(self) -> usize {
        match self {
            Cell::Float(dtype) => dtype.size(),
            Cell::Bits(size) => size,
        }
    }
}

/// The pointers that a kernel's arguments begin with; each with the cells that repeat in what it points to.
pub fn pointers(kernel: &str) -> Vec<Vec<Cell>> {
    let words: Vec<&str> = kernel.split('_').collect();
    let place = words
        .iter()
        .position(|word| of_storage(word).is_some())
        .unwrap_or_else(|| panic!("`{kernel}` does not name the type of its tensors"));
    let storage = of_storage(words[place]).expect("it was looked for");
    let computed_in = if words.get(place + 1) == Some(&"acc64") { DType::F64 } else { DType::F32 };
    let parameters = if words.last() == Some(&"f32") { DType::F32 } else { storage };
    let x = || vec![Cell::Float(storage)];
    let p = || vec![Cell::Float(parameters)];
    let a = || vec![Cell::Float(computed_in)];
    // `Partial` of `moments.cuh`: sum, squares and count.
    let partial = || vec![Cell::Float(computed_in), Cell::Float(computed_in), Cell::Bits(8)];
    let bits = || vec![Cell::Bits(storage.size())];
    match words[1..place].join("_").as_str() {
        "statistics_rows" | "statistics_columns" => vec![x(), partial()],
        "channels_train" | "channels_evaluate" => vec![partial(), p(), p(), p(), p(), p(), p(), a()],
        "normalise" => vec![x(), x(), a()],
        "gradient_sums_rows" | "gradient_sums_columns" => vec![x(), x(), a(), a(), x()],
        "gradient_channels" => vec![a(), a(), p(), p(), a()],
        "grad_input" => vec![x(), x(), x(), a(), a()],
        "relayout" => vec![bits(), bits()],
        other => panic!("nobody has said what `{other}` of `{kernel}` is given"),
    }
}

fn of_storage(word: &str) -> Option<DType> {
    DType::FLOATS.into_iter().find(|dtype| dtype.name() == word)
}
