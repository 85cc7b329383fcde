//! Fits of simulated scans, over the public interface.

mod fixture;
mod inputs;
mod recovery;
mod resume;
