//! How fast the kernels are on a GPU, beside a copy on the device that moves as many bytes.
//!
//! Time is the device's own, between events of its stream: of launches that follow each other, with what lies between
//! them, and of no allocation and no copy to or from the host. Where a pass takes the device less time than its launches
//! take the host, it is the host that is timed; that is what whoever launches them sees as well.

mod shared;
mod subject;
mod timer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bn_api::{DType, Wanted};

use crate::device::{Device, Properties};
use crate::executor::{Executor, Memory, Prepared};
use crate::launch::{LaunchError, Launcher, Purpose};
use crate::passes::{BackwardPass, ForwardPass, Mode, OfLayer};
use crate::place::Placed;
use crate::plan::Geometry;
use crate::ptx;

pub use self::subject::{Pass, RESNET_50, Subject, subjects};
pub use self::timer::{Settings, Time};

use self::shared::Shared;
use self::subject::{positive, values};

/// `eps` and `momentum` as a new layer has them.
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// A GPU with the kernels for one storage type, to be timed.
pub struct Bench {
    // Memory is given back through the executor, before the device goes.
    executor: Executor,
    device: Rc<RefCell<Device>>,
    settings: Settings,
    /// What copies of so many bytes took.
    copies: BTreeMap<u64, Time>,
}

impl Bench {
    /// Opens the GPU. It is not checked: nothing is filled, and no launch is waited for.
    ///
    /// # Errors
    /// What is missing.
    pub fn open(storage: DType, settings: Settings) -> Result<Self, LaunchError> {
        let (_, text) = ptx::verified(storage)?;
        let device = Device::open(text).map_err(|missing| LaunchError::Missing(missing.to_string()))?;
        let device = Rc::new(RefCell::new(device));
        let executor = Executor::new(Box::new(Shared(Rc::clone(&device))), storage);
        Ok(Bench { executor, device, settings, copies: BTreeMap::new() })
    }

    /// What the GPU is.
    pub fn properties(&self) -> Properties {
        self.device.borrow().properties().clone()
    }

    /// The label that results carry.
    pub fn label(&self) -> &'static str {
        self.device.borrow().label()
    }

    /// How long a copy on the device takes that moves so many bytes: half of them read, half written.
    ///
    /// # Errors
    /// When there is too little memory, and what the device says.
    pub fn copy(&mut self, bytes: u64) -> Result<Time, LaunchError> {
        if let Some(known) = self.copies.get(&bytes) {
            return Ok(*known);
        }
        let half = (bytes / 2) as usize;
        let from = self.executor.upload(&values(self.executor.storage(), half.div_ceil(2), 3)[..half])?;
        let to = self.executor.allocate(half, Purpose::Output)?;
        let work = |device: &mut Device| device.copy(from.buffer(), to.buffer());
        let time = timer::time(&mut self.device.borrow_mut(), &self.settings, work)?;
        self.copies.insert(bytes, time);
        Ok(time)
    }

    /// Times every pass of a subject of this storage type, in the order of [`Pass::ALL`].
    ///
    /// # Errors
    /// Of each pass, or of all where the tensors do not fit: too little memory, more blocks than a grid holds, and what
    /// the device says.
    pub fn passes(&self, subject: &Subject) -> [Result<Time, LaunchError>; Pass::ALL.len()] {
        match self.place(subject) {
            Ok(placed) => Pass::ALL.map(|pass| self.pass(subject, &placed, pass)),
            Err(error) => Pass::ALL.map(|_| Err(error.clone())),
        }
    }

    fn place(&self, subject: &Subject) -> Result<OnDevice, LaunchError> {
        let geometry = Geometry::new(&subject.shape, subject.order);
        let (storage, parameters) = (subject.numbers.storage, subject.numbers.parameters);
        let elements = geometry.elements() as usize;
        let tensor = |seed| -> Result<Placed, LaunchError> {
            Ok(Placed { memory: self.executor.upload(&values(storage, elements, seed))?, geometry })
        };
        let channels = geometry.channels as usize;
        let of_layer = |seed| self.executor.upload(&positive(parameters, channels, seed));
        Ok(OnDevice {
            x: tensor(1)?,
            dy: tensor(2)?,
            weight: of_layer(4)?,
            bias: of_layer(5)?,
            running: [of_layer(6)?, of_layer(7)?],
        })
    }

    fn pass(&self, subject: &Subject, placed: &OnDevice, pass: Pass) -> Result<Time, LaunchError> {
        let use_batch_stats = pass.is_training();
        let [mean, var] = &placed.running;
        let layer = OfLayer {
            weight: Some(placed.weight.buffer()),
            bias: Some(placed.bias.buffer()),
            running: Some([mean.buffer(), var.buffer()]),
        };
        let mode = Mode { use_batch_stats, momentum: MOMENTUM, eps: EPS };
        let forward = ForwardPass::new(&self.executor, subject.numbers, &placed.x, layer, mode)?;
        if pass.is_forward() {
            return self.launches(forward.launches());
        }
        // What the forward found is what the backward reads.
        self.executor.run(forward.launches())?;
        let wanted = Wanted { input: true, weight: true, bias: true };
        let tensors = [&placed.x, &placed.dy];
        let found = forward.found.buffer();
        let backward =
            BackwardPass::new(&self.executor, subject.numbers, tensors, found, use_batch_stats, wanted)?;
        self.launches(backward.launches())
    }

    fn launches(&self, launches: &[Prepared]) -> Result<Time, LaunchError> {
        let work =
            |device: &mut Device| launches.iter().try_for_each(|prepared| device.launch(&prepared.launch()));
        timer::time(&mut self.device.borrow_mut(), &self.settings, work)
    }
}

/// The tensors of a subject.
struct OnDevice {
    x: Placed,
    dy: Placed,
    weight: Memory,
    bias: Memory,
    running: [Memory; 2],
}
