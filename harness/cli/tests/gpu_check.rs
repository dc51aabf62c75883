//! `bncheck gpu-check`: without a GPU, and through the whole of it on the stand-in for the driver's library.
#![cfg(target_os = "linux")]

mod common;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::{bncheck, ended, folder_with};
use serde_json::Value;
use tempfile::TempDir;

const SUITE: &str = "
suite: small
cases:
  - name: images
    matrix: {dtype: [f16, bf16, f32, f64]}
    input: {shape: [2, 3, 4], fill: {channels: {mean: [0, 10, -1000], std: [1]}}}
    steps: [train, forward, backward]
";

/// A call that finds this library under the name of the driver's.
fn with_library(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = bncheck(&["gpu-check"]);
    command.args(arguments).env("LD_LIBRARY_PATH", folder).env_remove("BNCHECK_CUDA_DEVICE");
    // Nothing here needs it.
    command.env("LIBTORCH", folder);
    command
}

/// A folder in which the driver's library is the stand-in, built beside the tests.
fn stand_in() -> TempDir {
    let program = std::env::current_exe().expect("the test program is a file");
    let built = program.with_file_name("libbn_cuda_stand_in.so");
    assert!(built.exists(), "{} is not built beside the tests", built.display());
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(built, folder.path().join("libcuda.so")).expect("a link");
    folder
}

/// The check on the stand-in, of a small suite and two small shapes; what it wrote.
fn on_the_stand_in(python: &str) -> (common::Ended, Value) {
    let (library, suites) = (stand_in(), folder_with("small.yaml", SUITE));
    let json = library.path().join("results/gpu-check.json");
    let arguments = ["--tier", "quick", "--shape", "2,8,2,4", "--shape", "3,5,1,3", "--copy-bytes", "65536"];
    let mut command = with_library(library.path(), &arguments);
    command.env("BNCHECK_STAND_IN", "").args(["--python", python, "--json"]).arg(&json);
    let ended = ended(command.arg("--suites").arg(suites.path()));
    let text = std::fs::read_to_string(&json).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    (ended, serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn without_a_gpu_it_ends_with_5_and_says_what_to_do() {
    // Under every name by which the driver's library is looked for: the search ends at what is no library.
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["libcuda.so", "libcuda.so.1", "libnvcuda.so", "libnvcuda.so.1"] {
        std::fs::write(folder.path().join(name), "this is no library").expect("written");
    }
    let ended = ended(&mut with_library(folder.path(), &[]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""), "{ended:#?}");
    let said = ended.stderr.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("there is no NVIDIA driver: libcuda is not found. Install the driver"), "{said}");
}

#[test]
fn on_the_stand_in_everything_is_judged_compared_and_timed_without_libtorch() {
    let (ended, check) = on_the_stand_in("/no/python/here");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.ends_with("\nall as expected\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("cuda and cuda-ptx, bit for bit"), "{}", ended.stdout);
    assert!(ended.stdout.contains("there is no Python with torch that sees a GPU"), "{}", ended.stdout);
    assert_eq!((&check["schema_version"], &check["device"]["executor"]), (&1.into(), &"cuda".into()));
    assert_eq!(check["device"]["driver"], "13.0");
    assert!(check["suites"]["run"]["oracle"].as_str().is_some_and(|oracle| oracle.starts_with("none: ")));
    let verdicts = check["suites"]["verdicts"].as_array().expect("verdicts");
    let executors: Vec<&str> = verdicts.iter().filter_map(|of| of["executor"].as_str()).collect();
    assert_eq!(executors, ["cuda", "cuda-ptx", "cuda-acc64", "cuda-ptx-acc64"]);
    for of in verdicts {
        assert_eq!(of["counts"]["pass"], 4, "{of}");
    }
    for comparison in check["comparisons"].as_array().expect("comparisons") {
        assert_eq!((&comparison["cases"], &comparison["differences"]), (&4.into(), &Value::Array(vec![])));
        assert!(comparison["elements"].as_u64() > Some(100), "{comparison}");
    }
    let rows = check["timings"]["rows"].as_array().expect("rows");
    // Four passes in two layouts: two shapes in four types, and one in f64.
    assert_eq!(rows.len(), 4 * 2 * (2 * 4 + 1));
    for row in rows {
        assert_eq!(row["executor"], "cuda");
        for number in ["micros", "gb_per_s", "copy_micros", "share_of_copy"] {
            assert!(row["timed"][number].as_f64().is_some_and(|number| number > 0.0), "{row}");
        }
    }
}

#[test]
fn what_a_python_measures_stands_beside_its_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let python: PathBuf = folder.path().join("python");
    let said = "#!/bin/sh\ncat > /dev/null\n\
        echo '{\"torch\": \"2.11.0\", \"cuda\": \"13.0\", \"cudnn\": \"91300\", \"device\": \"a GPU\"}'\n\
        echo 'a warning'\n\
        echo '{\"subject\": 1, \"pass\": \"forward train\", \"cudnn\": true, \"graph\": false, \"micros\": 12.5}'\n\
        echo '{\"subject\": 1, \"pass\": \"forward train\", \"cudnn\": false, \"graph\": true, \"problem\": \"no\"}'\n";
    std::fs::write(&python, said).expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&python, executable).expect("executable");
    let (ended, check) = on_the_stand_in(python.to_str().expect("UTF-8"));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(check["timings"]["pytorch"]["measured"]["torch"], "2.11.0");
    let rows = check["timings"]["rows"].as_array().expect("rows");
    let beside: Vec<&Value> = rows.iter().filter(|row| row["pytorch"].is_array()).collect();
    let [row] = beside[..] else { panic!("{beside:?}") };
    let of = ["dtype", "accumulator", "layout", "pass"].map(|field| row[field].as_str().unwrap_or_default());
    assert_eq!(of, ["f32", "f32", "channels_last", "forward train"]);
    assert_eq!(row["pytorch"][0]["micros"], 12.5);
    assert_eq!(row["pytorch"][1]["problem"], "no");
    assert!(ended.stdout.contains("PyTorch 2.11.0 (CUDA 13.0, cuDNN 91300) on a GPU"), "{}", ended.stdout);
    assert!(ended.stdout.contains(" of 1 rows"), "{}", ended.stdout);
}
