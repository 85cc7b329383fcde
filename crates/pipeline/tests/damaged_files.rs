//! Runs the readers of `cargo xtask fuzz` (`fuzz/readers`) for some seconds: on their seeds, and on
//! damaged versions made from a fixed seed.
#![allow(dead_code, unreachable_pub, reason = "the fuzzer needs more of the shared reader code")]
#![allow(clippy::print_stderr, reason = "the allocator reports why it stops a reader")]

#[path = "../../../fuzz/readers/mod.rs"]
mod readers;

use readers::READERS;
use readers::memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inputs per reader, in addition to its seeds.
const INPUTS: usize = 60;

/// Pseudorandom numbers from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, count: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count.max(1)
    }

    /// A seed with some bytes changed, removed or replaced by those of another seed.
    fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let place = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.truncate(place),
                1 => bytes.splice(place..place, [0xff; 8]).for_each(drop),
                2 => {
                    let other = &seeds[self.below(seeds.len())];
                    bytes.truncate(place);
                    bytes.extend_from_slice(other.get(place..).unwrap_or_default());
                }
                3 => bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= 1 << self.below(8)),
                _ => {
                    bytes.get_mut(place).into_iter().for_each(|byte| *byte = self.below(256) as u8)
                }
            }
        }
        bytes
    }
}

#[test]
fn no_reader_panics_or_holds_much_more_than_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    for reader in &READERS {
        let (seeds, mut numbers) = (reader.seeds(), Numbers(1));
        let damaged: Vec<Vec<u8>> = (0..INPUTS).map(|_| numbers.damaged(&seeds)).collect();
        for bytes in seeds.iter().chain(&damaged) {
            reader.run(bytes, folder.path());
        }
    }
}
