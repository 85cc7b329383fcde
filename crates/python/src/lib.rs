//! The compiled module `brainprior._native`: NumPy arrays in, NumPy arrays out, computed by the
//! crates. Nothing is implemented twice; this crate converts arguments, reports progress, handles
//! interruption, and turns errors into Python exceptions.

mod attack;
mod error;
mod models;
mod pairs;
mod response;
mod scan;
mod similarity;
mod watch;

use pyo3::prelude::*;

/// The compiled half of `brainprior`; use the names of that package.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::add_to(module)?;
    module.add_class::<scan::Scan>()?;
    module.add_class::<scan::Reliability>()?;
    module.add_function(wrap_pyfunction!(scan::read_scan, module)?)?;
    module.add_function(wrap_pyfunction!(scan::image_ids, module)?)?;
    module.add_function(wrap_pyfunction!(scan::import_recording, module)?)?;
    module.add_class::<similarity::SimilarityMatrix>()?;
    module.add_class::<similarity::Estimate>()?;
    module.add_function(wrap_pyfunction!(similarity::similarity, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::nearest, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::sample_pairs, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::average, module)?)?;
    module.add_function(wrap_pyfunction!(similarity::compare, module)?)?;
    module.add_class::<response::ResponseModel>()?;
    module.add_function(wrap_pyfunction!(response::fit, module)?)?;
    module.add_class::<models::Network>()?;
    module.add_function(wrap_pyfunction!(attack::attack, module)?)?;
    module.add_function(wrap_pyfunction!(attack::noise_curve, module)?)?;
    module.add_function(wrap_pyfunction!(attack::corruption_errors, module)?)?;
    module.add_function(wrap_pyfunction!(attack::masking_report, module)?)?;
    module.add_function(wrap_pyfunction!(pairs::drawn_pairs, module)?)?;
    Ok(())
}
