//! Fits of simulated scans, over the public interface.

mod fixture;
mod inputs;
mod modules;
mod options;
mod prediction;
mod recovery;
mod resume;
mod training_trials;
