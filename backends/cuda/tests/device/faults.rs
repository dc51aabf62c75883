//! What a kernel's fault does to a device.

use bn_cuda::device::{Device, Missing};
use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

use crate::process::Library::StandIn;
use crate::process::with;
use crate::vectors::{KERNELS, Vectors, add, adds_as_it_should, open};

#[test]
fn a_fault_comes_to_light_in_a_later_call_and_loses_the_device() {
    let said = with(StandIn(""), &[], || {
        let mut device = open();
        let vectors = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
        vectors.add(&mut device, 3).expect("the driver has only taken note of the launch");
        assert_eq!(device.lost(), None);
        let fault = device.download(&vectors.sum).unwrap_err();
        let words = "the kernel `add` did what it must not: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was \
                     encountered (found by cuMemcpyDtoHAsync). The device's context is lost, with all memory in it";
        assert_eq!(fault, LaunchError::KernelFault(words.to_owned()));

        // Whatever is asked of it now, the answer is the same.
        assert_eq!(device.lost(), Some(&fault));
        assert_eq!(device.download(&vectors.sum), Err(fault.clone()));
        assert_eq!(device.upload(&vectors.a, &[0; 4]), Err(fault.clone()));
        assert_eq!(device.copy(&vectors.a, &vectors.b), Err(fault.clone()));
        assert_eq!(device.allocate(8, Purpose::Scratch), Err(fault.clone()));
        assert_eq!(vectors.add(&mut device, 2), Err(fault.clone()));
        assert_eq!(device.time(1, |_| Ok(())), Err(fault));
        vectors.free(&mut device);

        drop(device);
        adds_as_it_should(&mut open());
    });
    // The stand-in says which access it was, as compute-sanitizer would.
    if let Some(said) = said {
        assert!(said.contains("bn-cuda-stand-in: kernel `add`, PTX line "), "{said}");
        assert!(said.contains("block (0, 0, 0), thread (2, 0, 0), address 0x"), "{said}");
    }
}

#[test]
fn a_lost_device_can_be_dropped_with_all_it_holds() {
    with(StandIn(""), &[], || {
        let mut device = open();
        let vectors = Vectors::new(&mut device, &[1.0], &[10.0]);
        vectors.add(&mut device, 2).unwrap();
        device.download(&vectors.sum).unwrap_err();
        drop(device);
        adds_as_it_should(&mut open());
    });
}

#[test]
fn a_fault_is_that_of_a_kernel_that_was_not_waited_for() {
    with(StandIn(""), &[], || {
        let idle = Launch { kernel: "idle", grid: [1; 3], block: [1; 3], arguments: &[0; 32] };
        for waits in [true, false] {
            let mut device = open();
            let vectors = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
            device.launch(&idle).unwrap();
            if waits {
                device.download(&vectors.a).unwrap();
            }
            vectors.add(&mut device, 3).unwrap();
            let fault = device.download(&vectors.sum).unwrap_err();
            let who = if waits { "the kernel `add` did" } else { "one of the kernels `add`, `idle` did" };
            assert!(fault.to_string().starts_with(who), "{fault}");
        }
    });
}

#[test]
fn a_fault_loses_every_device_of_the_process_until_all_are_dropped() {
    with(StandIn(""), &[], || {
        let (mut one, mut other) = (open(), open());
        let vectors = Vectors::new(&mut one, &[1.0, 2.0], &[10.0, 20.0]);
        let buffer = other.allocate(8, Purpose::Scratch).unwrap();
        vectors.add(&mut one, 3).unwrap();
        one.download(&vectors.sum).unwrap_err();
        let fault = other.download(&buffer).unwrap_err();
        assert!(fault.to_string().starts_with("a kernel did what it must not"), "{fault}");
        drop(one);
        let missing = Device::open(KERNELS).unwrap_err();
        let words = "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered";
        assert_eq!(missing, Missing::Lost(words.to_owned()));
        drop(other);
        adds_as_it_should(&mut open());
    });
}

#[test]
fn a_checked_device_finds_a_fault_at_the_launch() {
    with(StandIn(""), &[], || {
        let mut device = Device::open_checked(KERNELS).unwrap();
        let vectors = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
        let fault = vectors.add(&mut device, 3).unwrap_err();
        assert!(fault.to_string().starts_with("the kernel `add` did what it must not"), "{fault}");
        assert_eq!(device.lost(), Some(&fault));
    });
}

#[test]
fn a_misaligned_access_is_told_from_one_out_of_bounds() {
    with(StandIn(""), &[], || {
        let mut device = open();
        let Vectors { a, b, sum } = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
        let askew = Buffer { address: sum.address + 2, bytes: 4 };
        add(&mut device, [&a, &b, &askew], 1).unwrap();
        let fault = device.download(&sum).unwrap_err();
        assert!(fault.to_string().contains("CUDA_ERROR_MISALIGNED_ADDRESS: misaligned address"), "{fault}");
    });
}

#[test]
fn a_device_whose_memory_failed_is_lost_though_no_kernel_is_at_fault() {
    with(StandIn("fail=cuStreamSynchronize:214"), &[], || {
        let mut device = open();
        let buffer = device.allocate(8, Purpose::Scratch).unwrap();
        device.upload(&buffer, &[0; 8]).unwrap();
        let error = device.download(&buffer).unwrap_err();
        assert_eq!(device.lost(), Some(&error));
        let message = "CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered".to_owned();
        assert_eq!(error, LaunchError::Driver { call: "cuStreamSynchronize", message });
    });
}
