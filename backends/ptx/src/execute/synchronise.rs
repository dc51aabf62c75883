//! Barriers, and instructions that several lanes execute together.

use crate::fault::{FaultKind, Problem};
use crate::instruction::{Op, Register, Shuffle, Vote};
use crate::lanes::lanes_of;
use crate::warp::{Group, Warp, place};

use super::{Located, Machine};

impl Machine<'_> {
    /// Lanes come to an instruction that lanes execute together. Answers with those that go on; others wait.
    pub(super) fn synchronise(
        &mut self,
        warp: &mut Warp,
        at: u32,
        coming: u32,
        op: &Op,
    ) -> Result<u32, Box<Problem>> {
        let mut here = coming;
        warp.groups.retain(|group| {
            let waits = group.waits && group.at == at;
            here |= if waits { group.mask } else { 0 };
            !waits
        });
        let masks = *warp.read(mask_of(op), here, self.kernel)?;
        let mut gone = 0;
        let mut left = here;
        while left != 0 {
            let lane = left.trailing_zeros() as usize;
            let mask = masks[lane] as u32;
            let same = lanes_of(left)
                .filter(|&lane| masks[lane] as u32 == mask)
                .fold(0, |all, lane| all | 1 << lane);
            left &= !same;
            if let Some(outside) = lanes_of(same & !mask).next() {
                let message = format!(
                    "lane {outside} executes this with the mask {mask:#010x}, which does not name it"
                );
                return Err(Problem::new(FaultKind::PartialMask, outside, message));
            }
            if same != mask {
                warp.groups.push(Group { at, mask: same, waits: true });
                continue;
            }
            self.together(warp, same, op)?;
            self.memory.tick += 1;
            warp.synchronise(same, self.memory.tick);
            gone |= same;
        }
        Ok(gone)
    }

    fn together(&mut self, warp: &mut Warp, here: u32, op: &Op) -> Result<(), Box<Problem>> {
        let kernel = self.kernel;
        match *op {
            Op::Shuffle { kind, to, valid, from, lane, clamp, .. } => {
                let (from, by, clamp) = (
                    *warp.read(from, here, kernel)?,
                    *warp.read(lane, here, kernel)?,
                    *warp.read(clamp, here, kernel)?,
                );
                let mut out = [0; 32];
                let mut found = 0;
                for lane in lanes_of(here) {
                    let (source, inside) = source_of(kind, lane as u32, by[lane] as u32, clamp[lane] as u32);
                    if here >> source & 1 == 0 {
                        let message = format!(
                            "lane {lane} reads from lane {source}, which is not in the mask {here:#010x}"
                        );
                        return Err(Problem::new(FaultKind::PartialMask, lane, message));
                    }
                    out[lane] = from[source as usize];
                    found |= u32::from(inside) << lane;
                }
                warp.write(to, &out, here);
                if let Some(valid) = valid {
                    warp.set(valid, found, here);
                }
            }
            Op::Vote { kind, to, from, .. } => {
                let holds = warp.holds(from, here, kernel)? & here;
                let answer = match kind {
                    Vote::All => holds == here,
                    Vote::Any => holds != 0,
                    Vote::Uniform => holds == here || holds == 0,
                };
                warp.set(to, if answer { u32::MAX } else { 0 }, here);
            }
            Op::Ballot { to, from, .. } => {
                let holds = warp.holds(from, here, kernel)? & here;
                warp.write(to, &[u64::from(holds); 32], here);
            }
            _ => {}
        }
        Ok(())
    }

    /// Nothing of the warp can go on: it has ended, it waits at a barrier of the block, or it waits in vain.
    pub(super) fn settle(&self, warp: &Warp) -> Result<(), Box<Located>> {
        let fault = |group: &Group, kind: FaultKind, message: String| {
            let problem = Problem::new(kind, group.mask.trailing_zeros() as usize, message);
            Err(Box::new(Located { problem, at: group.at, warp: warp.number }))
        };
        let code = &self.kernel.code;
        let waiting = |group: &&Group| !matches!(code[group.at as usize].op, Op::Barrier { .. });
        if let Some(group) = warp.groups.iter().filter(waiting).min_by_key(|group| group.at) {
            let lane = group.mask.trailing_zeros() as usize;
            let mask = warp.read(mask_of(&code[group.at as usize].op), group.mask, self.kernel);
            let mask = mask.map_or(0, |masks| masks[lane] as u32);
            let missing = mask & !group.mask;
            let other = missing.trailing_zeros();
            let message = format!(
                "the mask {mask:#010x} names lanes that are not there: only {:#010x} are, lane {other} {}",
                group.mask,
                self.whereabouts(warp, other)
            );
            return fault(group, FaultKind::PartialMask, message);
        }
        let mut groups: Vec<&Group> = warp.groups.iter().collect();
        groups.sort_by_key(|group| group.at);
        if let [first, .., last] = groups.as_slice()
            && first.at != last.at
        {
            let message = format!(
                "some threads of the warp wait at this barrier, others at the one in PTX line {}",
                self.line(last.at)
            );
            return fault(first, FaultKind::BarrierDivergence, message);
        }
        Ok(())
    }

    fn whereabouts(&self, warp: &Warp, lane: u32) -> String {
        match warp.groups.iter().find(|group| group.mask >> lane & 1 != 0) {
            Some(group) => format!("waits at PTX line {}", self.line(group.at)),
            None if warp.exists >> lane & 1 == 0 => "is no thread of the block".to_owned(),
            None => "has ended".to_owned(),
        }
    }

    /// All warps wait at a barrier or have ended: lets them go on if all threads are at the same one.
    pub(super) fn release(&mut self, warps: &mut [Warp]) -> Result<(), Box<Located>> {
        let Some((warp, at)) = warps.iter().find_map(|warp| Some((warp, warp.groups.first()?.at))) else {
            return Ok(());
        };
        let lane = warp.groups.first().map_or(0, |group| group.mask.trailing_zeros() as usize);
        let fault = |message: String| {
            let problem = Problem::new(FaultKind::BarrierDivergence, lane, message);
            Err(Box::new(Located { problem, at, warp: warp.number }))
        };
        let id = |warp: &Warp, group: &Group| match self.kernel.code[group.at as usize].op {
            Op::Barrier { id } => warp.read(id, group.mask, self.kernel).map_or(0, |ids| ids[lane_of(group)]),
            _ => 0,
        };
        let first = warp.groups.first().map_or(0, |group| id(warp, group));
        for other in &*warps {
            let name = |lane: u32| {
                let [x, y, z] = place(other.number * 32 + lane, self.size);
                format!("thread ({x}, {y}, {z})")
            };
            if other.exited != 0 {
                return fault(format!(
                    "{} has ended and does not reach this barrier",
                    name(other.exited.trailing_zeros())
                ));
            }
            for group in &other.groups {
                if group.at != at || id(other, group) != first {
                    return fault(format!(
                        "{} waits at another barrier, in PTX line {}",
                        name(group.mask.trailing_zeros()),
                        self.line(group.at)
                    ));
                }
            }
        }
        self.memory.tick += 1;
        self.interval = self.memory.tick;
        for warp in warps {
            for group in &mut warp.groups {
                group.at += 1;
                group.waits = false;
            }
        }
        Ok(())
    }
}

fn lane_of(group: &Group) -> usize {
    group.mask.trailing_zeros() as usize
}

fn mask_of(op: &Op) -> Register {
    match *op {
        Op::WarpBarrier { mask }
        | Op::Shuffle { mask, .. }
        | Op::Vote { mask, .. }
        | Op::Ballot { mask, .. } => mask,
        _ => crate::instruction::ZERO,
    }
}

/// The lane that a lane reads, and whether it is within the segment, as in the PTX manual under `shfl`.
fn source_of(kind: Shuffle, lane: u32, by: u32, c: u32) -> (u32, bool) {
    let (by, clamp, segment) = (by & 31, c & 31, c >> 8 & 31);
    let most = lane & segment | clamp & !segment;
    let least = lane & segment;
    let (source, inside) = match kind {
        Shuffle::Up => (lane.wrapping_sub(by), lane as i32 - by as i32 >= most as i32),
        Shuffle::Down => (lane + by, lane + by <= most),
        Shuffle::Butterfly => (lane ^ by, lane ^ by <= most),
        Shuffle::Index => {
            let source = least | by & !segment;
            (source, source <= most)
        }
    };
    if inside { (source, true) } else { (lane, false) }
}
