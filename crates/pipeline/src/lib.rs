//! The pipeline from recordings to robust classifiers as one run: stages that record what they were
//! made from, a grid of conditions and seeds, and a report. The mathematics is in the other
//! libraries; command line and terminal are in `xtask`.
//!
//! | module | contents |
//! |---|---|
//! | [`config`] | the settings of a run: defaults, files, overrides; conditions and targets |
//! | [`run`] | run directory, records, device, progress |
//! | `artifacts` | structs that stages write and the report reads |
//! | [`stages`] | the stages: scans, images, response, similarity, train, trade-off, robustness, report |
//! | [`grid`] | conditions and seeds as parts of a run, and scripts for batch systems |
//! | `report` | `report.html`, made from artifacts only |
//! | [`adversarial`] | the smallest perturbations of a network, for the stage `robustness` and the command `attack` |
//! | [`similarities`], [`compare`] | similarities of any responses; agreement of two matrices |
//! | [`denoise`] | fits and compares denoisers for given scans |
//! | [`records`] | one small file per network of an experiment, and tables made from them |
//! | [`files`] | validates or describes any file of the pipeline |
//! | [`export`] | writes matrices and networks for other programs |
//! | `tensorboard` | event files of fits and trainings |
//! | [`import`] | converts recordings in other formats to scan files |
//! | [`mod@bench`] | benchmarks of the hot paths |
//!
//! `tests/modules.rs` lists and tests which module may use which.

pub mod adversarial;
mod artifacts;
pub mod bench;
pub mod compare;
pub mod config;
pub mod denoise;
pub mod export;
pub mod files;
pub mod grid;
pub mod import;
pub mod records;
mod report;
pub mod run;
pub mod similarities;
pub mod stages;
mod synthetic;
mod table;
mod tensorboard;

pub use brainprior_kernels::Precision;
