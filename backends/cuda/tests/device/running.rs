//! What a device does when all is well.

use bn_cuda::device::{CudaVersion, Device};
use bn_cuda::launch::{LaunchError, Launcher, Purpose};

use crate::process::Library::StandIn;
use crate::process::with;
use crate::vectors::{KERNELS, Vectors, add, adds_as_it_should, bytes, floats, open};

#[test]
fn the_numbers_are_those_of_the_kernel() {
    with(StandIn(""), &[], || {
        let mut device = open();
        assert_eq!(device.label(), "cuda");
        assert_eq!(device.describe(), "bn-cuda-stand-in 0 (sm_90), driver 13.0");
        let properties = device.properties();
        assert_eq!((properties.driver, properties.compute_capability), (CudaVersion(13_000), (9, 0)));
        assert_eq!((properties.memory, properties.multiprocessors), (1 << 30, 1));
        adds_as_it_should(&mut device);
        assert_eq!(device.lost(), None);
    });
}

#[test]
fn a_gpu_of_this_machine_adds_as_well_or_is_missing_for_a_reason() {
    match Device::open_checked(KERNELS) {
        Ok(mut device) => adds_as_it_should(&mut device),
        Err(missing) => assert!(missing.to_string().contains("NVIDIA"), "{missing}"),
    }
}

#[test]
fn what_is_started_happens_in_order_before_a_download() {
    with(StandIn(""), &[], || {
        let mut device = open();
        let vectors = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
        vectors.add(&mut device, 2).unwrap();
        device.copy(&vectors.sum, &vectors.a).unwrap();
        device.upload(&vectors.b, &bytes(&[100.0, 200.0])).unwrap();
        vectors.add(&mut device, 2).unwrap();
        device.upload(&vectors.b, &bytes(&[0.0, 0.0])).unwrap();
        assert_eq!(floats(&device.download(&vectors.sum).unwrap()), [111.0, 222.0]);
        assert_eq!(floats(&device.download(&vectors.b).unwrap()), [0.0, 0.0]);
        vectors.free(&mut device);
    });
}

#[test]
fn a_gpu_without_memory_pools_adds_as_well() {
    with(StandIn("pools=0,memory=65536"), &[], || {
        let mut device = open();
        adds_as_it_should(&mut device);
        let error = device.allocate(1 << 20, Purpose::Scratch).unwrap_err();
        let (free, total) = (Some(65_536), Some(65_536));
        assert_eq!(error, LaunchError::OutOfMemory { bytes: 1 << 20, free, total });
    });
}

#[test]
fn full_memory_is_said_in_figures_and_the_device_goes_on() {
    with(StandIn("memory=65536"), &[], || {
        let mut device = open();
        let half = device.allocate(32_768, Purpose::Scratch).unwrap();
        let error = device.allocate(40_960, Purpose::Scratch).unwrap_err();
        let words = "the device is out of memory: 40960 bytes were asked for, 32768 of 65536 are free";
        assert_eq!(error.to_string(), words);
        adds_as_it_should(&mut device);
        // What is given back may come free only when the stream gets there.
        device.free(half);
        let most = device.allocate(40_960, Purpose::Scratch).expect("the memory that was given back");
        device.free(most);
        assert_eq!(device.lost(), None);
    });
}

#[test]
fn a_checked_device_fills_what_a_kernel_has_to_write() {
    with(StandIn(""), &[], || {
        let mut device = Device::open_checked(KERNELS).unwrap();
        for purpose in [Purpose::Output, Purpose::Scratch] {
            let buffer = device.allocate(8, purpose).unwrap();
            let sum = device.allocate(8, Purpose::Output).unwrap();
            // To the interpreter, memory that nobody fills is nothing that a kernel may read.
            add(&mut device, [&buffer, &buffer, &sum], 2).expect("what is filled can be read");
            assert_eq!(device.download(&buffer).unwrap(), [0xA5; 8], "{purpose:?}");
            assert_eq!(floats(&device.download(&sum).unwrap()), [2.0 * f32::from_bits(0xA5A5_A5A5); 2]);
            device.free(buffer);
            device.free(sum);
        }
        adds_as_it_should(&mut device);
    });
}

#[test]
fn a_device_that_is_not_checked_fills_nothing() {
    with(StandIn(""), &[], || {
        let mut device = open();
        let buffer = device.allocate(8, Purpose::Scratch).unwrap();
        add(&mut device, [&buffer, &buffer, &buffer], 2).unwrap();
        let fault = device.download(&buffer).unwrap_err();
        assert!(fault.to_string().contains("CUDA_ERROR_LAUNCH_FAILED"), "{fault}");
    });
}

#[test]
fn of_no_bytes_there_is_nothing_to_ask_the_driver() {
    with(StandIn("fail=cuMemAllocAsync:1,fail=cuMemcpyHtoDAsync:1,fail=cuMemcpyDtoHAsync:1"), &[], || {
        let mut device = Device::open_checked(KERNELS).unwrap();
        let (one, other) = (device.allocate(0, Purpose::Output), device.allocate(0, Purpose::Input));
        let (one, other) = (one.unwrap(), other.unwrap());
        device.upload(&one, &[]).unwrap();
        device.copy(&one, &other).unwrap();
        assert!(device.download(&other).unwrap().is_empty());
        device.free(one);
        device.free(other);
    });
}

#[test]
fn a_timing_has_as_many_times_as_repetitions() {
    with(StandIn(""), &[], || {
        let mut device = open();
        let vectors = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
        let mut launched = 0;
        let times = device.time(3, |device| {
            launched += 1;
            vectors.add(device, 2)
        });
        assert_eq!((times.unwrap().len(), launched), (3, 3));
        let error = device.time(3, |_| Err(LaunchError::NoKernel("none".to_owned()))).unwrap_err();
        assert_eq!(error, LaunchError::NoKernel("none".to_owned()));
        vectors.free(&mut device);
    });
}
