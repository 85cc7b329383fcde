//! The way from recordings to robust classifiers, as one run: stages with records of what they were made from, over a grid of
//! conditions and seeds, and a report. The mathematics lies in the other libraries; command line and terminal in `xtask`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | what decides a run: defaults, files, overrides; conditions and targets |
//! | [`run`] | run directory, records, device, observer of progress |
//! | `artifacts` | every struct that a stage writes and the report reads |
//! | [`stages`] | the chain: scans, images, response, similarity, train, trade-off, robustness, report |
//! | [`grid`] | conditions and seeds as parts of a run, and scripts for batch systems |
//! | `report` | `report.html`, of artifacts alone |
//! | [`adversarial`] | the smallest perturbations of a network, for the stage `robustness` and by themselves |
//! | [`similarities`], [`compare`] | similarities of any responses; how far two matrices agree |
//! | [`denoise`] | denoisers of given scans, fitted and compared |
//! | [`records`] | a small file for each network of an experiment, and tables of them |
//! | [`files`] | any file of the chain against its spec, and for people |
//! | [`export`] | matrices and networks for other programs |
//! | `tensorboard` | event files of fits and trainings |
//! | [`import`] | recordings in other formats, to scan files |
//! | [`mod@bench`] | how fast the hot paths run |
//!
//! Which module may use which is listed, and tested, in `tests/modules.rs`.

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
