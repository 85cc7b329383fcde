//! Checks that attacks with less access to the model do not find more.

use super::check::{Check, percent};
use super::trial::{SLACK, counted, share};

/// A black-box attack must not beat white-box ones.
pub(super) fn weaker(name: &'static str, what: &str, white: &[bool], weaker: &[bool]) -> Check {
    let only = counted(white.iter().zip(weaker).map(|(white, weaker)| *weaker && !*white));
    let extra = only as f64 / white.len() as f64;
    // Random search may be lucky on one image, but not on several.
    let finding = (only as f64 > SLACK * white.len() as f64 + 1.0).then(|| {
        format!("{} of images that withstand gradient attacks fall to {what}", percent(extra))
    });
    let figures = vec![
        ("stand against gradients".to_owned(), 1.0 - share(white)),
        (format!("stand against {what}"), 1.0 - share(weaker)),
        ("fall to that alone".to_owned(), extra),
    ];
    Check { name, figures, finding }
}
