//! What kernels are held to: the constants of the gates, each with its reason.

/// How many registers a thread of a kernel may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The kernels, by their names: `*` is any text. The first entry that fits a kernel counts.
    pub kernels: &'static str,
    /// The most registers of 32 bits.
    pub registers: u32,
    /// Why so many.
    pub reason: &'static str,
}

/// A multiprocessor has 65,536 registers on every device since Kepler, and hides the latency of memory with
/// the threads that they are enough for.
pub const REGISTERS: &[Limit] = &[
    Limit {
        kernels: "bn_*_acc64_v16",
        registers: 128,
        reason: "f64 takes two registers a number, and a thread sums up to eight channels; two blocks of 256 threads \
                 fit, which have 16 KB in flight with two reads of 16 bytes a thread: what an H100 moves in the time \
                 that memory takes to answer (3.35 TB/s for 600 ns, in 132 multiprocessors: 15 KB)",
    },
    Limit {
        kernels: "*_columns_*16_acc32_v16",
        registers: 96,
        reason: "a thread sums eight channels, with four loads of 16 bytes in flight, of which each is eight numbers; two \
                 blocks of 256 threads fit",
    },
    Limit {
        kernels: "bn_*_acc64*",
        registers: 80,
        reason: "f64 takes two registers a number; three blocks of 256 threads fit",
    },
    Limit {
        kernels: "*",
        registers: 64,
        reason: "256 threads take a quarter of a multiprocessor's registers: four blocks fit, half of the threads that it \
                 can hold",
    },
];

/// How many instructions that move 16 bytes a kernel has at least, in the machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wide {
    /// The kernels, by their names: `*` is any text.
    pub kernels: &'static str,
    /// Loads.
    pub loads: u32,
    /// Stores.
    pub stores: u32,
    /// How many loads of fewer bytes it has at most, where that is known.
    pub narrow_loads: Option<u32>,
    /// What is moved so.
    pub reason: &'static str,
}

/// The kernels that are written to move 16 bytes at a time. All entries that fit a kernel count.
///
/// A compiler may take a load apart where it finds use for a piece of it, and other reads of 16 bytes, of
/// what a channel is normalised with, do not show that: hence the most narrow ones.
pub const WIDE: &[Wide] = &[
    Wide {
        kernels: "bn_statistics_*_v16",
        loads: 1,
        stores: 0,
        narrow_loads: Some(0),
        reason: "reads x and nothing else",
    },
    Wide {
        kernels: "bn_gradient_sums_*_acc32_v16",
        loads: 3,
        stores: 1,
        narrow_loads: Some(0),
        reason: "reads x, dy and its channels' four floats, and writes dx in evaluation",
    },
    Wide {
        kernels: "bn_gradient_sums_*_acc64_v16",
        loads: 3,
        stores: 1,
        narrow_loads: Some(8),
        reason: "reads x, dy and three of its channels' four doubles, up to eight channels, and writes dx in evaluation",
    },
    Wide {
        kernels: "bn_normalise_*",
        loads: 1,
        stores: 1,
        narrow_loads: None,
        reason: "reads x and writes y, the tail element by element",
    },
    Wide {
        kernels: "bn_grad_input_*",
        loads: 2,
        stores: 1,
        narrow_loads: None,
        reason: "reads x and dy and writes dx, the tail element by element",
    },
];

/// Fused operations that were asked for: what a kernel's name begins with, and the opcode.
pub const FUSED: &[(&str, &str)] = &[];

/// Whether a pattern fits a name.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name, expected) in [
            ("bn", "bn", true),
            ("bn", "bn_a", false),
            ("*", "", true),
            ("bn_*", "bn_a", true),
            ("bn_*_v16", "bn_a_b_v16", true),
            ("bn_*_v16", "bn_a_v1", false),
            ("*_columns_*_v16", "bn_sums_columns_f16_v16", true),
            ("*_columns_*_v16", "bn_sums_rows_f16_v16", false),
            ("a*a", "a", false),
            ("a*a", "aaa", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn every_kernel_has_a_limit_with_a_reason() {
        let last = REGISTERS.last().expect("there are limits");
        assert_eq!(last.kernels, "*");
        for limit in REGISTERS {
            assert!(!limit.reason.is_empty(), "{}", limit.kernels);
            // 256 threads of so many registers have to fit once at least.
            assert!((1..=255).contains(&limit.registers), "{}", limit.kernels);
        }
    }
}
