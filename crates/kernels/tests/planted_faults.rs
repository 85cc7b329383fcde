//! The simulated GPU (`tests/devices/standin`) finds the faults of planted kernels and accepts
//! correct ones.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The program that launches planted kernels, built once; prints a reason and returns `None` if it
/// cannot be built.
fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("skipped: the stand-in for a GPU is written for x86-64 Linux");
        return None;
    }
    let works = |program: &str| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    if let Some(missing) = ["bash", "g++"].into_iter().find(|program| !works(program)) {
        println!("skipped: {missing} is missing");
        return None;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/devices/standin");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standin");
    let program = out.join("launch");
    ran(Command::new("bash").arg(here.join("build.sh")).arg(&out).arg(here.join("planted")));
    let sources = [here.join("planted/launch.cpp"), out.join("libstandin.so")];
    ran(Command::new("g++").args(["-std=c++17", "-O1", "-o"]).arg(&program).args(sources));
    Some(program)
}

fn ran(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn launched(kernel: &str) -> Option<Output> {
    Some(Command::new(program()?).arg(kernel).output().unwrap())
}

/// Returns the message of a kernel that must fail.
#[track_caller]
fn assert_caught(kernel: &str, words: &str) {
    let Some(output) = launched(kernel) else { return };
    let message = text(&output.stderr);
    assert!(!output.status.success(), "{kernel} passed: {}", text(&output.stdout));
    assert!(message.contains(words), "{kernel}: {message}");
}

#[track_caller]
fn assert_sums_to(kernel: &str, sum: &str) {
    let Some(output) = launched(kernel) else { return };
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        (format!("sum {sum}\n"), String::new()),
        "{kernel}"
    );
}

#[test]
fn sound_kernels_pass_with_the_right_numbers() {
    // Each warp sums 32 neighbors with wrap-around, and 16 odd lanes: 32 * (1 + ... + 32 + 16) + 32
    // * (33 + ... + 63 + 0 + 16).
    assert_sums_to("sound", "65536");
}

#[test]
fn races_show_as_a_difference_between_orders() {
    assert_caught("race_in_shared_memory", "a race: byte");
    assert_caught("race_between_blocks", "a race: byte");
}

#[test]
fn accesses_outside_a_block_are_caught() {
    assert_caught(
        "write_beyond",
        "thread (63, 0, 0), threads forward: touches byte 256 of a block of 256 bytes",
    );
    assert_caught("read_before", "bytes before a block of 256 bytes");
    assert_caught("read_freed", "of a block of 256 bytes that was freed");
    assert_caught("shared_memory_left", "leaves an array of shared or local memory");
    assert_caught("pack_not_aligned", "not aligned for the type");
}

#[test]
fn barriers_that_not_all_threads_reach_are_reported() {
    assert_caught(
        "barrier_for_half",
        "a barrier is not reached by all: 32 threads wait at faults.cu:57, 32 have ended",
    );
    assert_caught(
        "two_barriers",
        "32 threads wait at faults.cu:62, 32 threads wait at faults.cu:64, 0 have ended",
    );
    assert_caught("exchange_without_a_lane", "31 threads wait at faults.cu:71, 33 have ended");
}

#[test]
fn what_nothing_has_written_is_not_a_number() {
    // As on real devices, a warp without threads does not block the other; its half of the result
    // stays unset.
    assert_sums_to("sound_without_a_warp", "-nan");
    assert_sums_to("shared_memory_unset", "-nan");
}
