//! Orchestrator.
fn main() {}
