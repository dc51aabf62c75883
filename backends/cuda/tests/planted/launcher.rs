//! A device of the interpreter that has one kernel with a mistake and the committed ones beside it, and notes what is
//! reported.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use bn_api::DType;
use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};
use bn_cuda::ptx;
use bn_ptx::{Fault, Memory, MemoryError, Module};

/// What is reported.
pub enum Report {
    /// What a kernel did.
    Fault(Box<Fault>),
    /// What all kernels together left undone.
    Unwritten(MemoryError),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Fault(fault) => write!(f, "{fault}"),
            Report::Unwritten(error) => write!(f, "{error}"),
        }
    }
}

thread_local! {
    /// The kernels to take from elsewhere.
    static MISTAKE: RefCell<Option<Arc<Module>>> = const { RefCell::new(None) };
    /// The first report.
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// What is reported while this thread does something on devices that [`open`] opens.
pub fn reported(mistake: Option<Arc<Module>>, work: impl FnOnce()) -> Option<Report> {
    MISTAKE.set(mistake);
    REPORT.set(None);
    work();
    MISTAKE.set(None);
    REPORT.take()
}

/// A device with the committed kernels of this storage type, but for those with the mistake.
pub fn open(storage: DType) -> Result<Box<dyn Launcher>, LaunchError> {
    let committed = committed(storage)?;
    let mistake = MISTAKE.with_borrow(Clone::clone);
    Ok(Box::new(Planted { committed, mistake, memory: Memory::new(64 << 20), allocations: 0 }))
}

/// The committed kernels, parsed once on a thread.
fn committed(storage: DType) -> Result<Arc<Module>, LaunchError> {
    thread_local!(static PARSED: RefCell<Vec<(DType, Arc<Module>)>> = const { RefCell::new(Vec::new()) });
    PARSED.with_borrow_mut(|parsed| {
        if let Some((_, module)) = parsed.iter().find(|(of, _)| *of == storage) {
            return Ok(Arc::clone(module));
        }
        let (path, text) = ptx::module(storage)
            .ok_or_else(|| LaunchError::Unexpressed(format!("there are no kernels for {storage}")))?;
        let module = Module::parse(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let module = Arc::new(module);
        parsed.push((storage, Arc::clone(&module)));
        Ok(module)
    })
}

struct Planted {
    committed: Arc<Module>,
    mistake: Option<Arc<Module>>,
    memory: Memory,
    allocations: usize,
}

fn note(report: Report) -> LaunchError {
    let error = LaunchError::KernelFault(report.to_string());
    REPORT.with_borrow_mut(|noted| {
        noted.get_or_insert(report);
    });
    error
}

impl Launcher for Planted {
    fn label(&self) -> &'static str {
        "cuda-ptx"
    }

    fn describe(&self) -> String {
        "a kernel with a mistake".to_owned()
    }

    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError> {
        self.allocations += 1;
        let purpose = match purpose {
            Purpose::Input => bn_ptx::Purpose::Input,
            Purpose::Output => bn_ptx::Purpose::Output,
            Purpose::Scratch => bn_ptx::Purpose::Scratch,
        };
        let name = format!("{purpose:?} {}", self.allocations);
        let address = self.memory.allocate(bytes, purpose, &name).expect("tensors here are small");
        Ok(Buffer { address, bytes })
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        self.memory.write(to.address, bytes).expect("it was allocated");
        Ok(())
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        self.memory.read(from.address, from.bytes).map_err(|error| note(Report::Unwritten(error)))
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        let has_it = |module: &&Arc<Module>| module.kernel(launch.kernel).is_some();
        let module = self.mistake.as_ref().filter(has_it).unwrap_or(&self.committed);
        let launch = bn_ptx::Launch {
            kernel: launch.kernel,
            grid: launch.grid,
            block: launch.block,
            dynamic_shared: 0,
            parameters: &[launch.arguments],
        };
        match bn_ptx::launch(module, &mut self.memory, &launch) {
            Ok(_) => Ok(()),
            Err(bn_ptx::LaunchError::Fault(fault)) => Err(note(Report::Fault(fault))),
            Err(error) => panic!("{error}"),
        }
    }

    fn free(&mut self, buffer: Buffer) {
        self.memory.free(buffer.address).expect("it was allocated");
    }
}
