//! What a device refuses, or the driver does, and what it goes on after.

use bn_cuda::device::Device;
use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

use crate::process::Library::StandIn;
use crate::process::with;
use crate::vectors::{KERNELS, Vectors, adds_as_it_should, open};

#[test]
fn a_kernel_that_is_not_there_is_named() {
    with(StandIn(""), &[], || {
        let mut device = open();
        for kernel in ["subtract", "add\0"] {
            let launch = Launch { kernel, grid: [1; 3], block: [1; 3], arguments: &[] };
            assert_eq!(device.launch(&launch), Err(LaunchError::NoKernel(kernel.to_owned())));
        }
        adds_as_it_should(&mut device);
    });
}

#[test]
fn a_call_that_fails_is_named_with_the_name_of_its_error() {
    let settings = "fail=cuMemcpyHtoDAsync:1,fail=cuMemcpyDtoHAsync:400,fail=cuMemcpyDtoDAsync:999,\
                    fail=cuLaunchKernel:701,fail=cuEventRecord:400,fail=cuMemsetD8Async:1";
    with(StandIn(settings), &[], || {
        let mut device = Device::open_checked(KERNELS).unwrap();
        let input = |device: &mut Device| device.allocate(32, Purpose::Input).unwrap();
        let (one, other) = (input(&mut device), input(&mut device));
        let launch = Launch { kernel: "add", grid: [1; 3], block: [1; 3], arguments: &[0; 32] };
        let errors = [
            device.upload(&one, &[0; 32]).unwrap_err(),
            device.download(&one).unwrap_err(),
            device.copy(&one, &other).unwrap_err(),
            device.launch(&launch).unwrap_err(),
            device.time(1, |_| Ok(())).unwrap_err(),
            device.allocate(32, Purpose::Output).unwrap_err(),
        ];
        let expected = [
            "cuMemcpyHtoDAsync failed: CUDA_ERROR_INVALID_VALUE: invalid argument",
            "cuMemcpyDtoHAsync failed: CUDA_ERROR_INVALID_HANDLE: invalid resource handle",
            "cuMemcpyDtoDAsync failed: CUDA_ERROR_UNKNOWN: unknown error",
            "cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many resources requested for launch",
            "cuEventRecord failed: CUDA_ERROR_INVALID_HANDLE: invalid resource handle",
            "cuMemsetD8Async failed: CUDA_ERROR_INVALID_VALUE: invalid argument",
        ];
        assert_eq!(errors.map(|error| error.to_string()), expected);
        assert_eq!(device.lost(), None);
        device.free(one);
        device.free(other);
    });
}

#[test]
fn what_fails_in_giving_memory_back_is_said_by_the_next_call() {
    with(StandIn("fail=cuMemFree:1,pools=0"), &[], || {
        let mut device = open();
        let buffer = device.allocate(8, Purpose::Scratch).unwrap();
        device.free(buffer);
        let error = device.allocate(8, Purpose::Scratch).unwrap_err();
        assert_eq!(error.to_string(), "cuMemFree failed: CUDA_ERROR_INVALID_VALUE: invalid argument");
        // Once is enough.
        assert!(device.allocate(8, Purpose::Scratch).is_ok());
        // What is left on the device is left for a reason, so its end is not to be looked at.
        std::mem::forget(device);
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_the_device_goes_on() {
    with(StandIn(""), &[], || {
        let mut device = open();
        let vectors = Vectors::new(&mut device, &[1.0, 2.0], &[10.0, 20.0]);
        let small = device.allocate(4, Purpose::Scratch).unwrap();
        let gone = Buffer { address: 64, bytes: 8 };
        let part = Buffer { address: vectors.a.address, bytes: 4 };
        let launch = |kernel, grid, arguments| Launch { kernel, grid, block: [1; 3], arguments };
        let refused = [
            device.upload(&small, &[0; 5]).unwrap_err(),
            device.upload(&gone, &[0; 8]).unwrap_err(),
            device.download(&gone).unwrap_err(),
            device.download(&part).unwrap_err(),
            device.copy(&vectors.a, &small).unwrap_err(),
            device.copy(&vectors.a, &gone).unwrap_err(),
            device.launch(&launch("add", [1; 3], &[0; 24])).unwrap_err(),
            device.launch(&launch("add", [0, 1, 1], &[0; 32])).unwrap_err(),
            device.launch(&launch("two_parameters", [1; 3], &[0; 8])).unwrap_err(),
        ];
        let expected = [
            "cuMemcpyHtoDAsync failed: 5 bytes do not fit into 4",
            "cuMemcpyHtoDAsync failed: there is no buffer of 8 bytes at 0x40 on this device",
            "cuMemcpyDtoHAsync failed: there is no buffer of 8 bytes at 0x40 on this device",
            &format!(
                "cuMemcpyDtoHAsync failed: there is no buffer of 4 bytes at {:#x} on this device",
                part.address
            ),
            "cuMemcpyDtoDAsync failed: 8 bytes do not fill 4",
            "cuMemcpyDtoDAsync failed: there is no buffer of 8 bytes at 0x40 on this device",
            "cuLaunchKernel failed: `add` takes 32 bytes, 24 are given",
            "cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE: invalid argument",
            "cuFuncGetParamInfo failed: the kernel has several parameters, and is given one structure",
        ];
        assert_eq!(refused.map(|error| error.to_string()), expected);
        assert_eq!(device.lost(), None);
        device.free(small);
        vectors.free(&mut device);
        adds_as_it_should(&mut device);
    });
}
