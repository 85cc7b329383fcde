//! The verdict in words on whether denoising a scan helps.

use crate::artifacts::Verdict;
use brainprior_similarity::ToOtherRepeats;

/// From similarities of the oracle images, each compared with the mean over the other trials with
/// equal weighting; `None` if similarities are constant.
pub(crate) fn of(found: &ToOtherRepeats) -> Option<Verdict> {
    let (denoised, single) = (found.denoised?, found.single_trials?);
    let denoised_is_nearer = denoised.correlation > single.correlation;
    let combined = found
        .combined
        .filter(|combined| combined.correlation > denoised.correlation.max(single.correlation));
    let figures = format!(
        "the denoised target correlates with the mean over the other trials at {:.2}, one trial at {:.2}",
        denoised.correlation, single.correlation
    );
    let mut text = if denoised_is_nearer {
        format!("{figures}: denoising helps")
    } else {
        format!("{figures}: denoising does not help")
    };
    match (denoised_is_nearer, combined) {
        (true, Some(combined)) => {
            text +=
                &format!(", and target `combined` is closer still, at {:.2}", combined.correlation);
        }
        (true, None) => {}
        (false, Some(combined)) => {
            text += &format!(
                "; use target `combined`, at {:.2}, or set prediction.network to a network trained on more images, or record more images or trials",
                combined.correlation
            );
        }
        (false, None) => {
            text += "; use target `raw`, or `oracle` for repeated images, and check the fit: there may be too few trials, neurons \
                     that do not respond to the images, or images other than those shown";
        }
    }
    Some(Verdict { denoised_is_nearer, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_similarity::Agreement;

    #[test]
    fn says_what_is_nearer_and_what_to_do() {
        let at = |correlation| {
            Some(Agreement { correlation, interval: None, slope: 1.0, spread_ratio: 1.0 })
        };
        let of = |denoised, single, combined| {
            super::of(&ToOtherRepeats {
                denoised: at(denoised),
                single_trials: at(single),
                combined: at(combined),
            })
            .unwrap()
        };
        let good = of(0.54, 0.43, 0.66);
        assert!(
            good.denoised_is_nearer && good.text.ends_with("`combined` is closer still, at 0.66"),
            "{}",
            good.text
        );
        let bad = of(0.39, 0.53, 0.6);
        assert!(
            !bad.denoised_is_nearer
                && bad.text.contains(
                    "0.39, one trial at 0.53: denoising does not help; use target `combined`"
                )
        );
        assert!(of(0.1, 0.5, 0.4).text.contains("use target `raw`"));
        assert!(
            super::of(&ToOtherRepeats { denoised: None, single_trials: at(0.5), combined: None })
                .is_none()
        );
    }
}
