//! Who touched a byte last, and whether something orders that with who touches it now.
//!
//! Every access is stamped with a tick, its thread and its instruction. The ticks only grow: at a launch, a block, a
//! barrier and a synchronisation of lanes. So nothing is ever cleared, and whether two accesses are ordered does not
//! depend on the order in which warps happen to be executed.
//!
//! Of writes the last one is kept: an earlier one that nothing orders with it has been reported. Of reads all are kept
//! that can matter. Between blocks that is the first of the launch. Between warps it is the latest read, and the latest
//! one of any other warp. Within a warp it is the latest read of each lane since the whole warp was last synchronised:
//! those of one tick as a mask of lanes, and those before it, which only synchronisations of part of the warp leave
//! behind, lane by lane.
//!
//! A thread that reads shared memory before another one of the same interval writes it is told of a read of
//! uninitialised memory where the block has not written there before, and of a race, at the write, where it has.

use crate::lanes::lanes_of;

/// tick · 2^32 + thread · 2^22 + instruction.
pub type Stamp = u64;

/// The instruction of a stamp.
pub fn instruction_of(stamp: Stamp) -> usize {
    (stamp & 0x3f_ffff) as usize
}

/// The thread of a stamp.
pub fn thread_of(stamp: Stamp) -> u32 {
    (stamp >> 22 & 0x3ff) as u32
}

/// The tick of a stamp.
pub fn tick_of(stamp: Stamp) -> u32 {
    (stamp >> 32) as u32
}

/// Up to when a lane's accesses are ordered with those of another lane: `[of][other]`.
pub type Known = [[u32; 32]; 32];

/// Who touches memory now, and when.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// The tick now.
    pub tick: u32,
    /// The instruction.
    pub at: u32,
    /// The thread in its block.
    pub thread: u32,
    /// The ticks at which the launch, the block and the barrier interval began.
    pub launch: u32,
    /// See above.
    pub block: u32,
    /// See above.
    pub interval: u32,
    /// The tick of the last synchronisation of the whole warp.
    pub full: u32,
    /// What partial ones order.
    pub known: &'a Known,
}

impl Who<'_> {
    fn stamp(&self) -> Stamp {
        u64::from(self.tick) << 32 | u64::from(self.thread) << 22 | u64::from(self.at)
    }

    /// Whether nothing orders that access with this one.
    #[inline]
    fn conflicts(&self, stamp: Stamp) -> bool {
        let tick = tick_of(stamp);
        if tick < self.launch {
            return false;
        }
        if tick < self.block {
            return true;
        }
        let thread = thread_of(stamp);
        if tick < self.interval || thread == self.thread {
            return false;
        }
        if thread >> 5 == self.thread >> 5 {
            let known = self.known[(self.thread & 31) as usize][(thread & 31) as usize];
            return tick >= self.full.max(known);
        }
        true
    }
}

/// Two accesses that nothing orders.
#[derive(Debug, Clone, Copy)]
pub struct Conflict {
    /// The earlier one.
    pub other: Stamp,
    /// Whether that one is a write.
    pub written: bool,
    /// The byte.
    pub byte: usize,
}

/// The accesses to some memory.
#[derive(Debug, Default)]
pub struct Shadow {
    writers: Vec<Stamp>,
    readers: Vec<Readers>,
    /// Reads of single lanes, of the few bytes that need it.
    lanes: Vec<[Stamp; 32]>,
}

/// Who read a byte.
#[derive(Debug, Clone, Copy, Default)]
struct Readers {
    /// The first read of the launch.
    first: Stamp,
    /// The latest read.
    latest: Stamp,
    /// The latest read of another warp than that.
    apart: Stamp,
    /// The lanes of the latest read's warp that read in its tick.
    mask: u32,
    /// Where earlier reads of that warp's lanes are in [`Shadow::lanes`], from 1; 0 is nowhere.
    earlier: u32,
}

impl Shadow {
    /// Of so many bytes that nobody has touched.
    pub fn new(bytes: usize) -> Shadow {
        Shadow { writers: vec![0; bytes], readers: Vec::new(), lanes: Vec::new() }
    }

    /// The first of these bytes that was not written since a tick.
    pub fn unwritten(&self, from: usize, bytes: usize, since: u32) -> Option<usize> {
        (from..from + bytes).find(|&at| tick_of(self.writers[at]) < since)
    }

    /// A read.
    pub fn read(&mut self, from: usize, bytes: usize, who: &Who<'_>) -> Result<(), Conflict> {
        if self.readers.is_empty() {
            self.readers = vec![Readers::default(); self.writers.len()];
        }
        let stamp = who.stamp();
        for byte in from..from + bytes {
            let other = self.writers[byte];
            if who.conflicts(other) {
                return Err(Conflict { other, written: true, byte });
            }
            let readers = &mut self.readers[byte];
            if tick_of(readers.first) < who.launch {
                readers.first = stamp;
            }
            let latest = readers.latest;
            let same = thread_of(latest) >> 5 == who.thread >> 5;
            let lane = 1 << (who.thread & 31);
            if same && tick_of(latest) == who.tick {
                readers.mask |= lane;
            } else {
                if !same {
                    readers.apart = latest;
                }
                let ordered = !same || tick_of(latest) < who.full.max(who.interval);
                keep(readers, &mut self.lanes, ordered);
                readers.mask = lane;
            }
            readers.latest = stamp;
        }
        Ok(())
    }

    /// A write.
    pub fn write(&mut self, from: usize, bytes: usize, who: &Who<'_>) -> Result<(), Conflict> {
        let stamp = who.stamp();
        for byte in from..from + bytes {
            let other = self.writers[byte];
            if who.conflicts(other) {
                return Err(Conflict { other, written: true, byte });
            }
            if let Some(readers) = self.readers.get(byte)
                && let Some(other) = self.unordered(readers, who)
            {
                return Err(Conflict { other, written: false, byte });
            }
            self.writers[byte] = stamp;
        }
        Ok(())
    }

    /// A read that nothing orders with a write now.
    fn unordered(&self, readers: &Readers, who: &Who<'_>) -> Option<Stamp> {
        let Readers { first, latest, apart, mask, earlier } = *readers;
        // Later reads of this block are kept anyway.
        if tick_of(first) < who.block && who.conflicts(first) {
            return Some(first);
        }
        let warp = latest & !(31 << 22);
        let of_lane = |lane: usize| warp | (lane as u64) << 22;
        lanes_of(mask)
            .map(of_lane)
            .chain([apart])
            .chain(self.lanes.get((earlier as usize).wrapping_sub(1)).into_iter().flatten().copied())
            .find(|&other| who.conflicts(other))
    }

    /// Forgets everything: the ticks begin anew.
    pub fn clear(&mut self) {
        self.writers.fill(0);
        self.readers = Vec::new();
        self.lanes = Vec::new();
    }
}

/// Before the latest read is replaced: keeps it with the lanes of its warp, or forgets them all if what comes next is
/// ordered with them.
fn keep(readers: &mut Readers, lanes: &mut Vec<[Stamp; 32]>, ordered: bool) {
    if readers.earlier == 0 {
        if ordered {
            return;
        }
        lanes.push([0; 32]);
        readers.earlier = lanes.len() as u32;
    }
    let kept = &mut lanes[readers.earlier as usize - 1];
    if ordered {
        *kept = [0; 32];
        return;
    }
    for lane in lanes_of(readers.mask) {
        kept[lane] = readers.latest & !(31 << 22) | (lane as u64) << 22;
    }
}
