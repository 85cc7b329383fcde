//! Fits of simulated scans through the public interface.

mod fixture;
mod inputs;
mod modules;
mod options;
mod prediction;
mod recovery;
mod resume;
mod validation;
