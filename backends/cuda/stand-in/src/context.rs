//! A context: memory, modules and events of a device, and the stream of what is to be done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::engine::{Memory, Program};
use crate::status::{Answer, Status};

/// A context. Handles are numbers from 1, each used once.
pub struct Context {
    memory: Memory,
    modules: HashMap<usize, Arc<Program>>,
    /// A kernel's module and name.
    functions: HashMap<usize, (usize, String)>,
    /// When the stream got there, if it did.
    events: HashMap<usize, Option<Instant>>,
    stream: VecDeque<Work>,
    /// A kernel's fault, after which every call gives the same answer.
    fault: Option<Status>,
    handles: usize,
}

/// One thing on the stream.
pub enum Work {
    /// To write bytes at an address.
    Write(u64, Vec<u8>),
    /// To write a byte, so many times, at an address.
    Fill(u64, u8, usize),
    /// To copy, to an address from an address, so many bytes.
    Copy(u64, u64, usize),
    /// To give memory back.
    Free(u64),
    /// To note the time in an event.
    Note(usize),
    /// To run a kernel.
    Run(Run),
}

/// One launch.
pub struct Run {
    /// The module.
    pub program: Arc<Program>,
    /// The kernel's name in it.
    pub kernel: String,
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Bytes of shared memory beyond those that the kernel declares.
    pub shared: u32,
    /// The bytes of each parameter.
    pub parameters: Vec<Vec<u8>>,
}

impl Context {
    /// A context on a device with so much memory.
    pub fn new(memory: usize) -> Self {
        Context {
            memory: Memory::new(memory),
            modules: HashMap::new(),
            functions: HashMap::new(),
            events: HashMap::new(),
            stream: VecDeque::new(),
            fault: None,
            handles: 0,
        }
    }

    /// Whether no fault has ended its use.
    pub fn usable(&self) -> Answer {
        self.fault.map_or(Ok(()), Err)
    }

    fn handle(&mut self) -> usize {
        self.handles += 1;
        self.handles
    }

    /// Has something done later, after all that came before.
    pub fn later(&mut self, work: Work) {
        self.stream.push_back(work);
    }

    /// Does all that is to be done.
    pub fn wait(&mut self) -> Answer {
        while let Some(work) = self.stream.pop_front() {
            match work {
                Work::Write(address, bytes) => self.memory.write(address, &bytes)?,
                Work::Fill(address, byte, bytes) => self.memory.fill(address, byte, bytes)?,
                Work::Copy(to, from, bytes) => self.memory.copy(to, from, bytes)?,
                Work::Free(address) => self.memory.free(address)?,
                // Unless it is forgotten by now.
                Work::Note(event) => {
                    self.events.entry(event).and_modify(|noted| *noted = Some(Instant::now()));
                }
                Work::Run(run) => {
                    if let Err((status, words)) = self.memory.run(&run) {
                        eprintln!("bn-cuda-stand-in: {words}");
                        self.fault = Some(status);
                        self.stream.clear();
                        return Err(status);
                    }
                }
            }
        }
        Ok(())
    }

    /// Free and all memory, in bytes.
    pub fn memory(&self) -> (usize, usize) {
        (self.memory.free_bytes(), self.memory.capacity())
    }

    /// Memory of this size.
    pub fn allocate(&mut self, bytes: usize) -> Answer<u64> {
        if bytes == 0 { Err(Status::INVALID_VALUE) } else { self.memory.allocate(bytes) }
    }

    /// What memory holds once all is done.
    pub fn read(&mut self, address: u64, bytes: usize) -> Answer<Vec<u8>> {
        self.wait()?;
        self.memory.read(address, bytes)
    }

    /// Keeps a module.
    pub fn load(&mut self, program: Program) -> usize {
        let handle = self.handle();
        self.modules.insert(handle, Arc::new(program));
        handle
    }

    /// Forgets a module and its functions.
    pub fn unload(&mut self, module: usize) -> Answer {
        self.modules.remove(&module).ok_or(Status::INVALID_HANDLE)?;
        self.functions.retain(|_, function| function.0 != module);
        Ok(())
    }

    /// A kernel of a module.
    pub fn find(&mut self, module: usize, kernel: &str) -> Answer<usize> {
        let program = self.modules.get(&module).ok_or(Status::INVALID_HANDLE)?;
        program.parameters(kernel).ok_or(Status::NOT_FOUND)?;
        let handle = self.handle();
        self.functions.insert(handle, (module, kernel.to_owned()));
        Ok(handle)
    }

    /// The module of a kernel, and its name in it.
    pub fn function(&self, function: usize) -> Answer<(Arc<Program>, &str)> {
        let (module, kernel) = self.functions.get(&function).ok_or(Status::INVALID_HANDLE)?;
        let program = self.modules.get(module).ok_or(Status::INVALID_HANDLE)?;
        Ok((Arc::clone(program), kernel))
    }

    /// A new event.
    pub fn event(&mut self) -> usize {
        let handle = self.handle();
        self.events.insert(handle, None);
        handle
    }

    /// Has the time noted in an event, later.
    pub fn note(&mut self, event: usize) -> Answer {
        *self.events.get_mut(&event).ok_or(Status::INVALID_HANDLE)? = None;
        self.later(Work::Note(event));
        Ok(())
    }

    /// When the stream got to an event.
    pub fn noted(&self, event: usize) -> Answer<Instant> {
        self.events.get(&event).ok_or(Status::INVALID_HANDLE)?.ok_or(Status::NOT_READY)
    }

    /// Forgets an event.
    pub fn forget(&mut self, event: usize) -> Answer {
        self.events.remove(&event).map(|_| ()).ok_or(Status::INVALID_HANDLE)
    }

    /// Ends the context, and says what nobody gave back. After a fault nobody could.
    pub fn end(mut self) {
        if self.usable().is_ok() && self.wait().is_ok() {
            let (free, all) = self.memory();
            let (modules, events) = (self.modules.len(), self.events.len());
            if free != all || modules > 0 || events > 0 {
                eprintln!(
                    "bn-cuda-stand-in: left behind in the context: {} bytes, {modules} modules, {events} events",
                    all - free
                );
            }
        }
    }
}
