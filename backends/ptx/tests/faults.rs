//! Each check is triggered by a small kernel, and its clean twin goes through. The line is marked in the file.

mod support;

use bn_ptx::{Fault, FaultKind, LaunchError};

/// Runs `tests/faults/NAME.ptx` and its clean twin with two warps a block.
fn fault(name: &str, grid: u32) -> Fault {
    let read = |name: &str| {
        let path = format!("{}/tests/faults/{name}.ptx", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    if let Err(error) = support::run(&read(&format!("{name}.clean")), [grid, 1, 1], [64, 1, 1]) {
        panic!("the clean twin of {name}: {error}");
    }
    let text = read(name);
    let marked = text.lines().position(|line| line.contains("// FAULT")).expect("a marked line") + 1;
    match support::run(&text, [grid, 1, 1], [64, 1, 1]) {
        Err(LaunchError::Fault(fault)) => {
            assert_eq!(fault.line, marked, "{fault}");
            assert_eq!(
                fault.source.as_ref().map(|place| (place.file.as_str(), place.line)),
                Some(("kernel.cu", 42))
            );
            assert!(fault.to_string().contains(&format!("PTX line {marked}")), "{fault}");
            *fault
        }
        Err(error) => panic!("{name}: {error}"),
        Ok(_) => panic!("{name} is not found"),
    }
}

/// Kind, block and thread in x of a fault.
macro_rules! faults {
    ($($test:ident: $name:literal, $grid:literal => $kind:ident, block $block:literal, thread $thread:literal, says $text:literal;)*) => {$(
        #[test]
        fn $test() {
            let fault = fault($name, $grid);
            let found = (fault.kind, fault.block, fault.thread);
            assert_eq!(found, (FaultKind::$kind, [$block, 0, 0], [$thread, 0, 0]), "{fault}");
            assert!(fault.to_string().contains($text), "{fault}");
        }
    )*};
}

faults! {
    a_read_past_the_end_names_the_allocation: "out_of_bounds", 1 => OutOfBounds, block 0, thread 24,
        says "0 bytes past the end of `x` (4096 bytes)";
    a_write_past_the_end_of_shared_memory: "out_of_bounds_shared", 1 => OutOfBounds, block 0, thread 6,
        says "past the end of the shared `tile` (1024 bytes)";
    a_read_across_two_parameters: "out_of_bounds_param", 1 => OutOfBounds, block 0, thread 0, says "in no parameter";
    a_misaligned_read: "misaligned", 1 => Misaligned, block 0, thread 1, says "8 bytes";
    a_write_to_freed_memory: "use_after_free", 1 => UseAfterFree, block 0, thread 0, says "`gone`, which was freed";
    a_read_of_global_memory_that_nobody_wrote: "uninitialised_global", 1 => UninitialisedMemory, block 0, thread 0,
        says "byte 0 of `z`";
    a_read_of_shared_memory_that_nobody_wrote: "uninitialised_shared", 1 => UninitialisedMemory, block 0, thread 0,
        says "shared memory";
    a_register_written_in_some_lanes_only: "uninitialised_register", 1 => UninitialisedRegister, block 0, thread 5,
        says "`%r3`";
    a_predicate_never_written: "uninitialised_predicate", 1 => UninitialisedRegister, block 0, thread 0, says "`%p1`";
    a_write_to_an_input: "write_to_input", 1 => WriteToInput, block 0, thread 0, says "`x`";
    an_output_written_twice: "written_twice", 1 => WrittenTwice, block 0, thread 0, says "`y`";
    a_missing_barrier_names_the_other_thread: "missing_barrier", 2 => Race, block 0, thread 32,
        says "thread (0, 0, 0) of the same block wrote in PTX line 26";
    a_missing_barrier_where_the_reader_comes_first: "missing_barrier_read_first", 1 => UninitialisedMemory, block 0,
        thread 0, says "was not written by this block";
    a_write_after_three_lanes_have_read: "three_readers", 1 => Race, block 0, thread 3,
        says "thread (0, 0, 0) of the same block read";
    a_write_after_another_warp_has_read: "write_after_read", 1 => Race, block 0, thread 32,
        says "thread (0, 0, 0) of the same block read in PTX line 33";
    a_race_within_a_warp: "race_in_a_warp", 2 => Race, block 0, thread 0, says "thread (1, 0, 0)";
    two_lanes_of_one_instruction: "race_of_one_instruction", 1 => Race, block 0, thread 1, says "thread (0, 0, 0)";
    a_race_in_global_memory: "race_in_global", 1 => Race, block 0, thread 0, says "`z`";
    two_blocks_at_one_address: "race_between_blocks", 2 => RaceBetweenBlocks, block 1, thread 0,
        says "thread (0, 0, 0) of block (0, 0, 0)";
    a_barrier_that_some_threads_miss: "barrier_in_a_branch", 1 => BarrierDivergence, block 0, thread 0,
        says "thread (40, 0, 0) has ended";
    two_warps_at_different_barriers: "different_barriers", 1 => BarrierDivergence, block 0, thread 0,
        says "thread (32, 0, 0) waits at another barrier";
    a_full_mask_in_a_branch: "full_mask_in_a_branch", 1 => PartialMask, block 0, thread 0, says "lane 9 has ended";
    a_lane_that_its_mask_does_not_name: "lane_outside_its_mask", 1 => PartialMask, block 0, thread 8, says "lane 8";
    a_shuffle_from_a_lane_outside_of_the_mask: "shuffle_from_outside_the_mask", 1 => PartialMask, block 0, thread 0,
        says "lane 0 reads from lane 8";
    a_vote_that_names_ended_lanes: "vote_with_ended_lanes", 1 => PartialMask, block 0, thread 0, says "has ended";
    an_endless_loop: "endless_loop", 1 => EndlessLoop, block 0, thread 0, says "has not ended";
    an_integer_division_by_zero: "division_by_zero", 1 => DivisionByZero, block 0, thread 0, says "divided by 0";
    a_trap: "trap", 1 => Trap, block 0, thread 0, says "stops itself";
}
