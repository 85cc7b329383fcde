//! Compiles `kernels/*.cu` to PTX if the feature `cuda` is on.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=kernels");
    for variable in ["NVCC", "CUDA_HOME", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut sources: Vec<PathBuf> = std::fs::read_dir("kernels")
        .expect("the folder kernels can be read")
        .map(|entry| entry.expect("the folder kernels can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    sources.sort();
    let nvcc = nvcc();
    let architecture = format!("-arch=compute_{}", capability());
    // One process per source, in parallel, because nvcc is slow to start.
    let running: Vec<_> = sources
        .iter()
        .map(|source| (source, compile(&nvcc, &architecture, source, &out)))
        .collect();
    for (source, mut process) in running {
        let status = process.wait().expect("nvcc can be waited for");
        assert!(
            status.success(),
            "nvcc could not compile {}: {status}; see its messages above",
            source.display()
        );
    }
}

/// The compiler: `$NVCC`, else the one in `$CUDA_HOME`, else the one in `$PATH`.
fn nvcc() -> PathBuf {
    match (std::env::var_os("NVCC"), std::env::var_os("CUDA_HOME")) {
        (Some(nvcc), _) => nvcc.into(),
        (None, Some(home)) => Path::new(&home).join("bin/nvcc"),
        (None, None) => "nvcc".into(),
    }
}

/// The compute capability of the PTX as two digits: `$CUDA_COMPUTE_CAP`, else 8.0 (A100), the first
/// with bfloat16. Newer devices can load it.
fn capability() -> String {
    let found = std::env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "80".into()).replace('.', "");
    let number: u32 = found
        .parse()
        .unwrap_or_else(|_| panic!("CUDA_COMPUTE_CAP is {found}, expected a number such as 90"));
    assert!(
        number >= 80,
        "CUDA_COMPUTE_CAP is {number}; the kernels need 80 or more, for bfloat16"
    );
    found
}

fn compile(nvcc: &Path, architecture: &str, source: &Path, out: &Path) -> std::process::Child {
    let target = out.join(source.with_extension("ptx").file_name().expect("a source has a name"));
    Command::new(nvcc).args(["-ptx", "-O3", "-std=c++17", architecture, "-o"]).args([&target, source]).spawn().unwrap_or_else(
        |error| panic!("could not start {}: {error}; set NVCC or CUDA_HOME, or run `cargo xtask check-cuda`", nvcc.display()),
    )
}
