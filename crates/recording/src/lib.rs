//! Scans of visual cortex: reading, writing, reliability, simulation with known truth
