//! Attacks, noise, corruptions and masking checks for any model.

use crate::error::{Result, unknown};
use crate::models::{evaluated, labeled};
use brainprior_robustness::{
    self as robustness, Apgd, ApgdMinimal, ApgdTargeted, Attack, AutoAttack, Bim, BlendedNoise,
    Boundary, BrendelBethge, CarliniWagner, Clamp, Corruption, Counts, Ddn, DeepFool, Fab,
    FabTargeted, Fgsm, Fmn, HopSkipJump, LineSearch, Loss, MaskingSettings, Mim,
    MinimalPerturbations, Noise, Norm, Perturbation, Pgd, PrimalDual, Progress, Search, Settings,
    SigmaZero, Square, ensemble, median,
};
use ndarray::{Array1, Array4};
use numpy::{AllowTypeChange, IntoPyArray, PyArray1, PyArray4, PyArrayLike1, PyArrayLike4};
use pyo3::prelude::*;
use pyo3::types::PyDict;

type Images<'py> = PyArrayLike4<'py, f32, AllowTypeChange>;
type Labels<'py> = PyArrayLike1<'py, i64, AllowTypeChange>;

/// Relative tolerance of the bisection over epsilon, the same as in `cargo xtask attack`.
const TOLERANCE: f64 = 0.01;

/// Bootstrap samples of the images for the interval of a median.
const RESAMPLES: usize = 1000;

fn norm_of(name: &str) -> Result<Norm> {
    Ok(match name {
        "linf" => Norm::Linf,
        "l2" => Norm::L2,
        "l1" => Norm::L1,
        "l0" => Norm::L0,
        other => return Err(unknown("norm", "linf, l2, l1 or l0", other)),
    })
}

/// The attack with this name in a norm, with the given number of steps or queries, if any.
fn named(name: &str, norm: Norm, steps: Option<usize>) -> Result<Box<dyn Attack + Send>> {
    macro_rules! steps {
        ($attack:expr) => {
            steps!($attack, with_steps)
        };
        ($attack:expr, $with:ident) => {{
            let attack = $attack;
            Box::new(match steps {
                Some(steps) => attack.$with(steps),
                None => attack,
            })
        }};
    }
    let stepless = |attack: Box<dyn Attack + Send>| match steps {
        None => Ok(attack),
        Some(steps) => Err(unknown(
            &format!("steps of {name}"),
            "none, since this attack has no steps",
            &steps.to_string(),
        )),
    };
    let attack: Box<dyn Attack + Send> = match name {
        "fgsm" => stepless(Box::new(Fgsm::new(norm)))?,
        "bim" => stepless(Box::new(Bim::new(norm)))?,
        "mim" => stepless(Box::new(Mim::new(norm)))?,
        "pgd" => steps!(Pgd::new(norm)),
        "pgd-margin" => steps!(Pgd::new(norm).with_loss(Loss::Margin)),
        "apgd-ce" => steps!(Apgd::new(norm)),
        "apgd-dlr" => steps!(Apgd::new(norm).with_loss(Loss::Dlr)),
        "apgd-t" => steps!(ApgdTargeted::new(norm)),
        "apgd-t-minimal" => steps!(ApgdMinimal::new(norm).targeted()),
        "autoattack" => stepless(Box::new(AutoAttack::new(norm)))?,
        "deepfool" => steps!(DeepFool::new(norm)),
        "carlini-wagner" => steps!(CarliniWagner::default()),
        "ddn" => steps!(Ddn::default()),
        "fab" => steps!(Fab::new(norm)),
        "fab-t" => steps!(FabTargeted::new(norm)),
        "fmn" => steps!(Fmn::new(norm)),
        "brendel-bethge" => steps!(BrendelBethge::new(norm)),
        "boundary" => steps!(Boundary::default()),
        "hop-skip-jump" => steps!(HopSkipJump::new(norm)),
        "square" if matches!(norm, Norm::Linf | Norm::L2) => {
            steps!(Square::new(norm), with_queries)
        }
        "square" => {
            return Err(unknown(
                "norm of square",
                "linf or l2",
                &format!("{norm:?}").to_lowercase(),
            ));
        }
        "primal-dual" => steps!(PrimalDual::new(norm)),
        "sigma-zero" => steps!(SigmaZero::default()),
        "line-search" => stepless(Box::new(LineSearch::new(norm)))?,
        "blended-noise" => stepless(Box::new(BlendedNoise::new(norm)))?,
        other => {
            let known = "ensemble, fgsm, bim, mim, pgd, pgd-margin, apgd-ce, apgd-dlr, apgd-t, apgd-t-minimal, autoattack, deepfool, \
                         carlini-wagner, ddn, fab, fab-t, fmn, brendel-bethge, boundary, hop-skip-jump, square, primal-dual, sigma-zero, \
                         line-search or blended-noise";
            return Err(unknown("attack", known, other));
        }
    };
    match attack.norm() == norm {
        true => Ok(attack),
        false => {
            let (expected, found) = (attack.norm(), norm);
            let lower = |norm: Norm| format!("{norm:?}").to_lowercase();
            Err(unknown(&format!("norm of {name}"), &lower(expected), &lower(found)))
        }
    }
}

/// Results for all images: the nearest adversarial images or the images themselves; distances;
/// whether each was already adversarial; whether it is now; which attack found it; numbers of
/// queries, gradients and zero gradients; and the median of the smallest perturbations with its
/// interval, each infinite if beyond the search.
type Found<'py> = (
    Bound<'py, PyArray4<f32>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyArray1<bool>>,
    Vec<Option<String>>,
    [Bound<'py, PyArray1<i64>>; 3],
    Option<(f64, f64, f64)>,
);

#[pyfunction]
pub(crate) fn attack<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    images: Images<'py>,
    labels: Labels<'py>,
    targets: Option<Labels<'py>>,
    norm: &str,
    name: &str,
    steps: Option<usize>,
    budget: usize,
    epsilon: Option<f64>,
    seed: u64,
    batch: usize,
    progress: Option<Py<PyAny>>,
) -> Result<Found<'py>> {
    let norm = norm_of(norm)?;
    let (images, settings) =
        (labeled(&images, &labels, targets.as_ref())?, Settings { seed, batch });
    let (count, [channels, height, width]) = (images.len(), images.shape());
    let pixels = |of: &dyn Fn(usize) -> Vec<f32>| {
        let values = (0..count).flat_map(of).collect();
        Array4::from_shape_vec((count, channels, height, width), values)
            .expect("an image has the given shape")
    };
    let counted = |counts: &[Counts]| {
        let column = |of: fn(&Counts) -> usize| -> Bound<'py, PyArray1<i64>> {
            counts.iter().map(|counts| of(counts) as i64).collect::<Array1<i64>>().into_pyarray(py)
        };
        [
            column(|counts| counts.queries),
            column(|counts| counts.gradient_calls),
            column(|counts| counts.zero_gradients),
        ]
    };
    if let Some(epsilon) = epsilon {
        if name == "ensemble" {
            return Err(unknown(
                "epsilon",
                "none, since the ensemble searches for the smallest perturbation",
                &epsilon.to_string(),
            ));
        }
        let attack = named(name, norm, steps)?;
        let found = evaluated(model, progress, |model, observe| {
            robustness::attack(model, attack.as_ref(), &images, epsilon, settings.observed(observe))
        })?;
        let outcomes = found.outcomes();
        let counts: Vec<Counts> = outcomes.iter().map(|outcome| outcome.counts).collect();
        let by = |outcome: &robustness::Outcome| {
            (outcome.success && !outcome.already).then(|| attack.name())
        };
        return Ok((
            pixels(&|index| found.image(index).to_vec()).into_pyarray(py),
            outcomes
                .iter()
                .map(|outcome| outcome.distance)
                .collect::<Array1<f64>>()
                .into_pyarray(py),
            outcomes
                .iter()
                .map(|outcome| outcome.already)
                .collect::<Array1<bool>>()
                .into_pyarray(py),
            outcomes
                .iter()
                .map(|outcome| outcome.success)
                .collect::<Array1<bool>>()
                .into_pyarray(py),
            outcomes.iter().map(by).collect(),
            counted(&counts),
            None,
        ));
    }
    let attacks: Vec<Box<dyn Attack + Send>> = match name {
        "ensemble" => vec![],
        name => vec![named(name, norm, steps)?],
    };
    let search = Search { largest: norm.range(images.area()), tolerance: TOLERANCE };
    let minimal = evaluated(model, progress, |model, observe| {
        let mut minimal = MinimalPerturbations::new(model, &images, norm, settings)?;
        let together = if attacks.is_empty() { ensemble(norm, budget) } else { vec![] };
        let attacks: Vec<&dyn Attack> = match together.is_empty() {
            true => attacks.iter().map(|attack| attack.as_ref() as &dyn Attack).collect(),
            false => together.iter().map(AsRef::as_ref).collect(),
        };
        for (number, attack) in attacks.iter().enumerate() {
            let mut of_all = |at: Progress| {
                // Progress in images over all attacks; the last calls of an attack may have fewer
                // images.
                let share = count * at.done / at.total.max(1);
                observe(Progress { done: number * count + share, total: attacks.len() * count });
            };
            minimal.approach(model, *attack, &images, search, settings.observed(&mut of_all))?;
        }
        Ok(minimal)
    })?;
    let records = minimal.records();
    let middle = match minimal.perturbations(&images, search) {
        perturbations if perturbations.is_empty() => None,
        perturbations => {
            let found = median(&perturbations, RESAMPLES, seed)?;
            let size = |perturbation: Perturbation| perturbation.found().unwrap_or(f64::INFINITY);
            Some((size(found.value), size(found.low), size(found.high)))
        }
    };
    let nearest = |index: usize| match &records[index].nearest {
        Some((pixels, _)) => pixels.clone(),
        None => images.image(index).to_vec(),
    };
    let counts: Vec<Counts> = records.iter().map(|record| record.counts).collect();
    let distances = minimal.distances(&images);
    Ok((
        pixels(&nearest).into_pyarray(py),
        distances
            .iter()
            .map(|size| size.unwrap_or(f64::INFINITY))
            .collect::<Array1<f64>>()
            .into_pyarray(py),
        records.iter().map(|record| record.already).collect::<Array1<bool>>().into_pyarray(py),
        distances.iter().map(Option::is_some).collect::<Array1<bool>>().into_pyarray(py),
        records
            .iter()
            .map(|record| record.nearest.as_ref().map(|(_, name)| name.clone()))
            .collect(),
        counted(&counts),
        middle,
    ))
}

/// Accuracy at each noise level, [levels].
#[pyfunction]
pub(crate) fn noise_curve<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    images: Images<'py>,
    labels: Labels<'py>,
    levels: Vec<f64>,
    noise: &str,
    clamp: &str,
    seed: u64,
    batch: usize,
    progress: Option<Py<PyAny>>,
) -> Result<Bound<'py, PyArray1<f64>>> {
    let noise = match noise {
        "gaussian" => Noise::Gaussian,
        "uniform" => Noise::Uniform,
        "salt_and_pepper" => Noise::SaltAndPepper,
        other => return Err(unknown("noise", "gaussian, uniform or salt_and_pepper", other)),
    };
    let clamp = match clamp {
        "none" => Clamp::None,
        "unit" => Clamp::Unit,
        "own_range" => Clamp::OwnRange,
        other => return Err(unknown("clamp", "none, unit or own_range", other)),
    };
    let images = labeled(&images, &labels, None)?;
    let points = evaluated(model, progress, |model, observe| {
        robustness::noise_curve(
            model,
            &images,
            noise,
            clamp,
            &levels,
            Settings { seed, batch }.observed(observe),
        )
    })?;
    let share = |point: &robustness::NoisePoint| point.accuracy.share().unwrap_or(f64::NAN);
    Ok(points.iter().map(share).collect::<Array1<f64>>().into_pyarray(py))
}

/// Error rates at severities 1 to 5 for each corruption.
#[pyfunction]
pub(crate) fn corruption_errors(
    model: &Bound<'_, PyAny>,
    images: Images<'_>,
    labels: Labels<'_>,
    families: Option<Vec<String>>,
    seed: u64,
    batch: usize,
    progress: Option<Py<PyAny>>,
) -> Result<Vec<(&'static str, [f64; 5])>> {
    let all = Corruption::ALL;
    let family = |name: &String| {
        let names: Vec<&str> = all.iter().map(|family| family.name()).collect();
        all.into_iter()
            .find(|family| family.name() == name)
            .ok_or_else(|| unknown("family", &names.join(", "), name))
    };
    let families = match &families {
        Some(names) => names.iter().map(family).collect::<Result<Vec<_>>>()?,
        None => all.to_vec(),
    };
    let images = labeled(&images, &labels, None)?;
    let errors = evaluated(model, progress, |model, observe| {
        robustness::corruption_errors(
            model,
            &images,
            &families,
            Settings { seed, batch }.observed(observe),
        )
    })?;
    Ok(errors.iter().map(|errors| (errors.corruption.name(), errors.errors())).collect())
}

/// The checks for gradient masking: the verdict in words, the number of images, and each check by
/// name with its measured values and its finding, if any.
#[pyfunction]
pub(crate) fn masking_report<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    images: Images<'py>,
    labels: Labels<'py>,
    epsilon: f64,
    seed: u64,
    batch: usize,
    progress: Option<Py<PyAny>>,
) -> Result<(String, usize, Vec<(&'static str, Bound<'py, PyDict>, Option<String>)>)> {
    let images = labeled(&images, &labels, None)?;
    let report = evaluated(model, progress, |model, observe| {
        let checks = MaskingSettings::at(epsilon);
        robustness::masking_report(
            model,
            &[],
            &images,
            &checks,
            Settings { seed, batch }.observed(observe),
        )
    })?;
    let check = |check: &robustness::Check| {
        let figures = PyDict::new(py);
        check.figures.iter().try_for_each(|(name, value)| figures.set_item(name, value))?;
        Ok((check.name, figures, check.finding.clone()))
    };
    let checks = report.checks.iter().map(check).collect::<PyResult<_>>()?;
    Ok((report.in_words(), report.images, checks))
}
