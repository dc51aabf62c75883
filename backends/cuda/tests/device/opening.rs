//! What can be missing when a device is opened.

use bn_cuda::device::{CHOOSES_DEVICE, CudaVersion, Device, Missing};

use crate::process::Library::{self, StandIn};
use crate::process::with;
use crate::vectors::{KERNELS, adds_as_it_should, open};

#[test]
fn without_the_drivers_library_that_is_said() {
    with(Library::None, &[], || {
        let missing = Device::open(KERNELS).unwrap_err();
        assert_eq!(missing, Missing::NoLibrary);
        let words = "there is no NVIDIA driver: libcuda is not found. Install the driver for CUDA 13.0 or later, or \
                     run the backend `cuda-ptx`, which needs no GPU";
        assert_eq!(missing.to_string(), words);
    });
}

#[test]
fn a_driver_without_a_gpu_is_told_from_no_driver() {
    with(StandIn("devices=0"), &[], || {
        let missing = Device::open(KERNELS).unwrap_err();
        assert_eq!(missing, Missing::NoDevice);
        assert!(missing.to_string().starts_with("the NVIDIA driver finds no GPU"), "{missing}");
    });
}

#[test]
fn the_toolkits_stub_is_recognised() {
    with(StandIn("fail=cuInit:34"), &[], || assert_eq!(Device::open(KERNELS).unwrap_err(), Missing::Stub));
}

#[test]
fn a_driver_that_is_too_old_is_named_with_what_is_needed() {
    with(StandIn("driver=12.4"), &[], || {
        let missing = Device::open(KERNELS).unwrap_err();
        let (has, needs) = (CudaVersion(12_040), CudaVersion(13_000));
        assert_eq!(missing, Missing::DriverTooOld { has, needs, ptx: "9.0".to_owned() });
        let words = "the NVIDIA driver is too old: it is for CUDA 12.4, and the kernels (PTX 9.0) need 13.0";
        assert!(missing.to_string().starts_with(words), "{missing}");
    });
}

#[test]
fn a_driver_that_lacks_functions_is_too_old_for_any_ptx() {
    with(StandIn("driver=12.4"), &[], || {
        let missing = Device::open(&KERNELS.replace(".version 9.0", ".version 8.4")).unwrap_err();
        let (has, needs) = (CudaVersion(12_040), CudaVersion(13_000));
        assert_eq!(missing, Missing::DriverTooOld { has, needs, ptx: "8.4".to_owned() });
    });
}

#[test]
fn ptx_of_a_later_cuda_needs_a_later_driver() {
    with(StandIn("driver=13.4"), &[], || {
        let missing = Device::open(&KERNELS.replace(".version 9.0", ".version 9.5")).unwrap_err();
        let (has, needs) = (CudaVersion(13_040), CudaVersion(13_050));
        assert_eq!(missing, Missing::DriverTooOld { has, needs, ptx: "9.5".to_owned() });
    });
}

#[test]
fn a_driver_that_refuses_the_version_of_the_ptx_is_too_old_as_well() {
    with(StandIn("fail=cuModuleLoadData:222"), &[], || {
        let missing = Device::open(KERNELS).unwrap_err();
        assert!(matches!(missing, Missing::DriverTooOld { .. }), "{missing:?}");
    });
}

#[test]
fn ptx_that_does_not_assemble_is_refused_with_the_assemblers_words() {
    with(StandIn(""), &[], || {
        let missing = Device::open(&KERNELS.replace("add.rn.f32", "frobnicate.rn.f32")).unwrap_err();
        let Missing::BadPtx { message, log } = &missing else { panic!("{missing:?}") };
        assert_eq!(message, "CUDA_ERROR_INVALID_PTX: a PTX JIT compilation failed");
        assert!(log.contains("frobnicate"), "{log}");
        assert!(missing.to_string().contains("frobnicate"), "{missing}");

        let missing = Device::open("\0").unwrap_err();
        assert!(matches!(missing, Missing::BadPtx { .. }), "{missing:?}");
    });
}

#[test]
fn what_else_ails_the_driver_is_said_in_its_words() {
    with(StandIn("fail=cuInit:803"), &[], || {
        let words = "the NVIDIA driver does not start: cuInit failed: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has \
                     unsupported display driver / cuda driver combination. See whether `nvidia-smi` works";
        assert_eq!(Device::open(KERNELS).unwrap_err().to_string(), words);
    });
}

#[test]
fn a_variable_chooses_one_of_several_gpus() {
    with(StandIn("devices=2"), &[(CHOOSES_DEVICE, "1")], || {
        let mut device = open();
        assert_eq!(device.properties().name, "bn-cuda-stand-in 1");
        adds_as_it_should(&mut device);
    });
}

#[test]
fn a_gpu_that_is_not_there_cannot_be_chosen() {
    with(StandIn("devices=2"), &[(CHOOSES_DEVICE, "2")], || {
        let missing = Device::open(KERNELS).unwrap_err();
        assert_eq!(missing, Missing::NoSuchDevice { chosen: "2".to_owned(), count: 2 });
        let words = "BNCHECK_CUDA_DEVICE is `2`, and the NVIDIA driver finds 2 GPUs. Set it to a number from 0 to 1, \
                     or unset it";
        assert_eq!(missing.to_string(), words);
    });
}

#[test]
fn a_choice_that_is_no_number_is_refused() {
    with(StandIn(""), &[(CHOOSES_DEVICE, "first")], || {
        let missing = Device::open(KERNELS).unwrap_err();
        assert_eq!(missing, Missing::NoSuchDevice { chosen: "first".to_owned(), count: 1 });
    });
}
