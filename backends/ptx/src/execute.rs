//! Executes a kernel: blocks one after the other, a block's warps in turn until each waits at a barrier or has ended.
//!
//! Within a warp the lanes that are furthest behind are executed first, so that lanes that went apart meet again where
//! their ways do. At an instruction that synchronises lanes those that come early wait; when nothing else can go on,
//! the lanes that were waited for will never come, and that is the fault.

mod access;
mod synchronise;

use crate::fault::{Fault, FaultKind, Problem, SourcePlace};
use crate::instruction::{Instruction, Op};
use crate::lanes::{Lanes, lanes_of};
use crate::launch::{Launch, Statistics};
use crate::memory::Memory;
use crate::module::{Kernel, Module};
use crate::race::Shadow;
use crate::warp::{Group, Warp, place};

/// Where shared memory lies among generic addresses.
pub const WINDOW: u64 = 0x5000_0000_0000;
/// How many instructions a warp may execute in a block.
pub const ENDLESS: u64 = 1 << 25;

/// Where the lanes go after an instruction.
enum Flow {
    /// To the next one.
    Next,
    /// All of them there.
    Jump(u32),
    /// Only these go on to the next one.
    Narrow(u32),
    /// None goes on; the groups are up to date.
    Stop,
}

/// A problem at an instruction of a warp.
struct Located {
    problem: Box<Problem>,
    at: u32,
    warp: u32,
}

/// What executes a launch.
pub struct Machine<'a> {
    module: &'a Module,
    kernel: &'a Kernel,
    memory: &'a mut Memory,
    grid: [u32; 3],
    size: [u32; 3],
    parameters: Vec<u8>,
    shared: Vec<u8>,
    shadow: Shadow,
    /// The block that is executed.
    block: [u32; 3],
    /// The ticks at which the blocks began.
    blocks: Vec<u32>,
    began: u32,
    interval: u32,
    /// The allocation that was touched last.
    last: usize,
    statistics: Statistics,
    /// How many instructions a warp may execute in a block.
    most: u64,
}

impl<'a> Machine<'a> {
    /// For a launch that fits the kernel.
    pub fn new(
        module: &'a Module,
        kernel: &'a Kernel,
        memory: &'a mut Memory,
        launch: &Launch<'_>,
        most: u64,
    ) -> Self {
        let mut parameters = vec![0; kernel.parameter_bytes()];
        for (parameter, bytes) in kernel.parameters.iter().zip(launch.parameters) {
            parameters[parameter.offset..parameter.offset + parameter.bytes].copy_from_slice(bytes);
        }
        let shared = match launch.dynamic_shared {
            0 => kernel.shared_bytes,
            more => kernel.shared_bytes.next_multiple_of(16) + more,
        };
        memory.begin();
        let began = memory.tick;
        Machine {
            module,
            kernel,
            memory,
            grid: launch.grid,
            size: launch.block,
            parameters,
            shared: vec![0; shared],
            shadow: Shadow::new(shared),
            block: [0; 3],
            blocks: Vec::new(),
            began,
            interval: began,
            last: 0,
            statistics: Statistics::default(),
            most,
        }
    }

    /// Executes all blocks.
    pub fn run(mut self) -> Result<Statistics, Box<Fault>> {
        let count = self.size.iter().product::<u32>().div_ceil(32);
        let mut warps: Vec<Warp> =
            (0..count).map(|number| Warp::new(self.kernel, number, self.size, self.grid)).collect();
        for z in 0..self.grid[2] {
            for y in 0..self.grid[1] {
                for x in 0..self.grid[0] {
                    self.block = [x, y, z];
                    self.run_block(&mut warps).map_err(|located| self.fault(*located))?;
                }
            }
        }
        Ok(self.statistics)
    }

    fn fault(&self, located: Located) -> Box<Fault> {
        let Located { problem, at, warp } = located;
        let instruction = &self.kernel.code[at as usize];
        let source = instruction.source.and_then(|(number, line)| {
            let (_, file) = self.module.files.iter().find(|(file, _)| *file == number)?;
            Some(SourcePlace { file: file.clone(), line: line as usize })
        });
        let line = instruction.line as usize;
        Box::new(Fault {
            kind: problem.kind,
            kernel: self.kernel.name.clone(),
            line,
            source,
            block: self.block,
            thread: place(warp * 32 + problem.lane as u32, self.size),
            address: problem.address,
            message: problem.message,
            instruction: self.text(line),
        })
    }

    fn text(&self, line: usize) -> String {
        let text = self.module.lines.get(line - 1).map_or("", |line| line.as_str());
        let code = text.split("//").next().unwrap_or("");
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn line(&self, at: u32) -> u32 {
        self.kernel.code[at as usize].line
    }

    fn run_block(&mut self, warps: &mut [Warp]) -> Result<(), Box<Located>> {
        self.memory.tick += 1;
        self.interval = self.memory.tick;
        self.blocks.push(self.interval);
        for warp in &mut *warps {
            warp.begin(self.kernel, self.block);
        }
        loop {
            for warp in &mut *warps {
                self.run_warp(warp)?;
            }
            if warps.iter().all(|warp| warp.groups.is_empty()) {
                return Ok(());
            }
            self.release(warps)?;
        }
    }

    /// Executes a warp until it has ended or all that is left of it waits at one barrier of the block.
    fn run_warp(&mut self, warp: &mut Warp) -> Result<(), Box<Located>> {
        loop {
            let next =
                |warp: &Warp| warp.groups.iter().filter(|group| !group.waits).map(|group| group.at).min();
            let Some(mut at) = next(warp) else { return self.settle(warp) };
            let mut mask = 0;
            warp.groups.retain(|group| {
                let here = !group.waits && group.at == at;
                mask |= if here { group.mask } else { 0 };
                !here
            });
            let limit = next(warp).unwrap_or(u32::MAX);
            loop {
                let flow = self
                    .step(warp, at, mask)
                    .map_err(|problem| Box::new(Located { problem, at, warp: warp.number }))?;
                match flow {
                    Flow::Next => at += 1,
                    Flow::Jump(target) => at = target,
                    Flow::Narrow(left) => {
                        mask = left;
                        at += 1;
                    }
                    Flow::Stop => break,
                }
                if at >= limit {
                    warp.groups.push(Group { at, mask, waits: false });
                    break;
                }
            }
        }
    }

    fn step(&mut self, warp: &mut Warp, at: u32, mask: u32) -> Result<Flow, Box<Problem>> {
        let kernel = self.kernel;
        let Instruction { op, guard, .. } = &kernel.code[at as usize];
        warp.steps += 1;
        if warp.steps > self.most {
            let lane = mask.trailing_zeros() as usize;
            let message =
                format!("the warp has executed {} instructions in this block and has not ended", self.most);
            return Err(Problem::new(FaultKind::EndlessLoop, lane, message));
        }
        let exec = match guard {
            None => mask,
            Some(condition) => warp.holds(*condition, mask, kernel)? & mask,
        };
        self.statistics.warp_instructions += 1;
        self.statistics.instructions += u64::from(mask.count_ones());
        let rest = mask & !exec;
        let narrow = |rest: u32| if rest == 0 { Flow::Stop } else { Flow::Narrow(rest) };
        if exec == 0 {
            return Ok(Flow::Next);
        }
        match *op {
            Op::Map { run, to, from: [a, b, c] } => {
                let mut out = [0; 32];
                let (a, b, c) =
                    (warp.read(a, exec, kernel)?, warp.read(b, exec, kernel)?, warp.read(c, exec, kernel)?);
                run(a, b, c, &mut out, exec);
                warp.write(to, &out, exec);
            }
            Op::Branch { target } => {
                if rest == 0 {
                    return Ok(Flow::Jump(target));
                }
                warp.groups.push(Group { at: target, mask: exec, waits: false });
                warp.groups.push(Group { at: at + 1, mask: rest, waits: false });
                return Ok(Flow::Stop);
            }
            Op::Exit => {
                warp.exited |= exec;
                return Ok(narrow(rest));
            }
            Op::Barrier { id } => {
                warp.read(id, exec, kernel)?;
                warp.groups.push(Group { at, mask: exec, waits: true });
                return Ok(narrow(rest));
            }
            Op::WarpBarrier { .. } | Op::Shuffle { .. } | Op::Vote { .. } | Op::Ballot { .. } => {
                let gone = self.synchronise(warp, at, exec, op)?;
                return Ok(if gone == exec { Flow::Next } else { narrow(gone | rest) });
            }
            Op::Trap => {
                let lane = exec.trailing_zeros() as usize;
                return Err(Problem::new(FaultKind::Trap, lane, "the kernel stops itself"));
            }
            Op::Load { access, to, sign } => self.load(warp, at, exec, access, to, sign)?,
            Op::Store { access, from } => self.store(warp, at, exec, access, from)?,
            Op::ActiveMask { to } => warp.write(to, &[u64::from(exec); 32], exec),
            Op::Nothing => {}
            _ => self.compute(warp, exec, op)?,
        }
        Ok(Flow::Next)
    }

    /// What only concerns registers, and is not in [`Op::Map`].
    fn compute(&mut self, warp: &mut Warp, exec: u32, op: &Op) -> Result<(), Box<Problem>> {
        let kernel = self.kernel;
        match *op {
            Op::Divide { run, to, from: [a, b, _] } => {
                let mut out = [0; 32];
                let (a, b) = (warp.read(a, exec, kernel)?, warp.read(b, exec, kernel)?);
                if let Some(lane) = lanes_of(exec).find(|&lane| b[lane] == 0) {
                    let message = format!("the integer {} is divided by 0", a[lane]);
                    return Err(Problem::new(FaultKind::DivisionByZero, lane, message));
                }
                run(a, b, a, &mut out, exec);
                warp.write(to, &out, exec);
            }
            Op::Convert { how, to, from, mask } => {
                let from = warp.read(from, exec, kernel)?;
                let mut out = [0; 32];
                for lane in lanes_of(exec) {
                    out[lane] = how.of(from[lane]) & mask;
                }
                warp.write(to, &out, exec);
            }
            Op::Compare { run, from: [a, b], with, to, opposite } => {
                let plain = run(warp.read(a, exec, kernel)?, warp.read(b, exec, kernel)?);
                let (mut yes, mut no) = (plain, !plain);
                if let Some((logic, condition)) = with {
                    let with = warp.holds(condition, exec, kernel)?;
                    (yes, no) = (logic.of(plain, with), logic.of(!plain, with));
                }
                warp.set(to, yes, exec);
                if let Some(opposite) = opposite {
                    warp.set(opposite, no, exec);
                }
            }
            Op::Set { run, from: [a, b], with, to, yes } => {
                let mut holds = run(warp.read(a, exec, kernel)?, warp.read(b, exec, kernel)?);
                if let Some((logic, condition)) = with {
                    holds = logic.of(holds, warp.holds(condition, exec, kernel)?);
                }
                let out: Lanes = std::array::from_fn(|lane| if holds >> lane & 1 != 0 { yes } else { 0 });
                warp.write(to, &out, exec);
            }
            Op::Select { to, from: [a, b], by } => {
                let by = warp.holds(by, exec, kernel)?;
                let (a, b) = (warp.read(a, exec, kernel)?, warp.read(b, exec, kernel)?);
                let out: Lanes =
                    std::array::from_fn(|lane| if by >> lane & 1 != 0 { a[lane] } else { b[lane] });
                warp.write(to, &out, exec);
            }
            Op::Logic { logic, to, from: [a, b] } => {
                let value = logic.of(warp.holds(a, exec, kernel)?, warp.holds(b, exec, kernel)?);
                warp.set(to, value, exec);
            }
            Op::Pack { to, from, count, bits } => {
                let mut out = [0; 32];
                for (index, &from) in from[..count].iter().enumerate() {
                    let part = warp.read(from, exec, kernel)?;
                    for (out, part) in out.iter_mut().zip(part) {
                        *out |= part << (index as u32 * bits);
                    }
                }
                warp.write(to, &out, exec);
            }
            Op::Unpack { to, count, bits, from } => {
                let from = *warp.read(from, exec, kernel)?;
                for (index, to) in to[..count].iter().enumerate() {
                    if let Some(to) = *to {
                        let out = from.map(|value| value >> (index as u32 * bits) & ((1 << bits) - 1));
                        warp.write(to, &out, exec);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
