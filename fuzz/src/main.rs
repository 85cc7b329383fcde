//! Runs the file reader named by the variable `BRAINPRIOR_READER` under libFuzzer.
#![no_main]

#[path = "../readers/mod.rs"]
mod readers;

use libfuzzer_sys::fuzz_target;
use readers::Reader;
use readers::memory::Counting;
use std::path::PathBuf;
use std::sync::LazyLock;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static READER: LazyLock<&Reader> = LazyLock::new(|| {
    let name = std::env::var("BRAINPRIOR_READER").unwrap_or_default();
    let reader = Reader::by_name(&name);
    let names: Vec<&str> = readers::READERS.iter().map(|reader| reader.name).collect();
    let reader = reader.unwrap_or_else(|| {
        panic!("BRAINPRIOR_READER is {name:?}; it must be one of {}", names.join(", "))
    });
    // An empty corpus starts with the seeds.
    if let Some(folder) = std::env::var_os("BRAINPRIOR_SEEDS") {
        for (place, seed) in reader.seeds().iter().enumerate() {
            let path = std::path::Path::new(&folder).join(format!("seed-{place:03}"));
            std::fs::write(&path, seed)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    reader
});

/// Folder of the files to read.
static SPACE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::var_os("BRAINPRIOR_SPACE").map_or_else(std::env::temp_dir, PathBuf::from)
});

fuzz_target!(init: { LazyLock::force(&READER); }, |bytes: &[u8]| READER.run(bytes, &SPACE));
