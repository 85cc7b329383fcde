//! Clean versus noisy accuracy: over epochs, and over alpha.

use super::Content;
use super::figure::Figure;
use super::page::Page;
use super::plots::{Axes, Curve, color, tracks};
use crate::artifacts::{Followed, Snapshot, Spread};
use crate::table::over_seeds;

/// Adds the section if networks were kept after every epoch.
pub(crate) fn section(page: &mut Page, content: &Content) {
    let figures = drawn(&content.trade_off);
    if figures.is_empty() {
        return;
    }
    page.section(
        "Clean versus noisy accuracy",
        "Points are means over seeds. A setting that moves a network along the line of `none` trades clean for noisy accuracy; a network above that line gains.",
    );
    let caption = |name: &str| {
        match name.starts_with("epochs") {
        true => "One point per epoch, connected in order; the last point is the largest.".to_owned(),
        false => "One point per alpha, in increasing order; the largest alpha has the largest point. The line of `none` runs over epochs."
            .to_owned(),
    }
    };
    page.figures(
        &figures
            .into_iter()
            .map(|(name, figure)| figure.caption(caption(&name)))
            .collect::<Vec<_>>(),
    );
}

/// Figures as separate files, with their names.
pub(crate) fn files(arms: &[Followed]) -> Vec<(String, String)> {
    drawn(arms).into_iter().map(|(name, figure)| (format!("{name}.svg"), figure.svg())).collect()
}

/// Figures with their names, for the middle and the strongest noise: all arms over epochs, and
/// targets with several alphas over alpha.
fn drawn(arms: &[Followed]) -> Vec<(String, Figure)> {
    let Some(first) =
        arms.first().and_then(|arm| arm.seeds.first()).and_then(|(snapshots, _)| snapshots.first())
    else {
        return Vec::new();
    };
    let last = first.gaussian_noise.len() - 1;
    let mut levels = vec![last / 2, last];
    levels.dedup();
    let mut figures = Vec::new();
    for level in levels {
        let noise = first.gaussian_noise[level].level;
        // Arms with settings of their own would hide the conditions.
        let plain = arms.iter().filter(|arm| arm.own.is_empty());
        let over_epochs: Vec<Curve> =
            plain.enumerate().map(|(index, arm)| epochs_of(arm, level, index)).collect();
        if !over_epochs.is_empty() {
            let title = format!("Over epochs, noise {noise:.2}");
            figures.push((format!("epochs-{noise:.2}"), tracks(&axes(&title), &over_epochs)));
        }
        let mut lines = over_alpha(arms, level);
        if !lines.is_empty() {
            lines.extend(
                arms.iter().find(|arm| arm.name == "none").map(|arm| epochs_of(arm, level, 0)),
            );
            let title = format!("Over alpha, noise {noise:.2}");
            figures.push((format!("alpha-{noise:.2}"), tracks(&axes(&title), &lines)));
        }
    }
    figures
}

fn axes(title: &str) -> Axes<'_> {
    Axes { title, x: "clean accuracy", y: "noisy accuracy", y_range: None }
}

fn epochs_of(arm: &Followed, level: usize, index: usize) -> Curve {
    let epochs = arm.seeds.iter().map(|(snapshots, _)| snapshots.len()).min().unwrap_or(0);
    let at = |epoch: usize, value: &dyn Fn(&Snapshot) -> f64| {
        Spread::of(
            &arm.seeds.iter().map(|(snapshots, _)| value(&snapshots[epoch])).collect::<Vec<_>>(),
        )
        .mean
    };
    let point = |epoch| {
        (
            at(epoch, &|snapshot| snapshot.clean_accuracy),
            at(epoch, &|snapshot| snapshot.gaussian_noise[level].accuracy),
            0.0,
        )
    };
    Curve {
        name: arm.name.clone(),
        color: color(&arm.name, index),
        points: (0..epochs).map(point).collect(),
    }
}

/// For each target with several alphas, the networks that the trainings kept.
fn over_alpha(arms: &[Followed], level: usize) -> Vec<Curve> {
    let alone = |arm: &&Followed| arm.has_target && arm.own.iter().all(|key| key == "alpha");
    let mut kinds: Vec<&str> = arms.iter().filter(alone).map(|arm| arm.kind.as_str()).collect();
    kinds.dedup();
    let mut lines = Vec::new();
    for (index, kind) in kinds.into_iter().enumerate() {
        let mut own: Vec<&Followed> =
            arms.iter().filter(alone).filter(|arm| arm.kind == kind).collect();
        own.sort_by(|a, b| a.alpha.total_cmp(&b.alpha));
        if own.len() < 2 || lines.iter().any(|line: &Curve| line.name == kind) {
            continue;
        }
        let point = |arm: &&Followed| {
            (
                kept(arm, |snapshot| snapshot.clean_accuracy).mean,
                kept(arm, |snapshot| snapshot.gaussian_noise[level].accuracy).mean,
                0.0,
            )
        };
        let name = kind.to_owned();
        lines.push(Curve {
            color: color(&name, index),
            name,
            points: own.iter().map(point).collect(),
        });
    }
    lines
}

/// A value over the networks that the training of each seed kept.
fn kept(arm: &Followed, value: impl Fn(&Snapshot) -> f64) -> Spread {
    Spread::of(
        &arm.seeds.iter().map(|(snapshots, kept)| value(&snapshots[*kept])).collect::<Vec<_>>(),
    )
}

/// Accuracy in percent of the networks that the trainings kept, over seeds, as Markdown.
pub(crate) fn table(arms: &[Followed]) -> String {
    let Some(first) =
        arms.first().and_then(|arm| arm.seeds.first()).and_then(|(snapshots, _)| snapshots.first())
    else {
        return String::new();
    };
    let levels: Vec<f64> = first.gaussian_noise.iter().map(|point| point.level).collect();
    let noisy: Vec<usize> = (0..levels.len()).filter(|level| levels[*level] > 0.0).collect();
    let mut text = String::from("| condition | seeds | epoch | clean |");
    noisy.iter().for_each(|level| text += &format!(" noise {:.2} |", levels[*level]));
    text += &format!("\n|---|---:|---:|---:|{}\n", "---:|".repeat(noisy.len()));
    for arm in arms {
        text += &format!("| {} | {} |", arm.name, arm.seeds.len());
        text += &format!(" {:.1} |", kept(arm, |snapshot| snapshot.epoch as f64).mean);
        let cell = |accuracy: Spread| format!(" {} |", over_seeds(&accuracy, 100.0, 1, ""));
        text += &cell(kept(arm, |snapshot| snapshot.clean_accuracy));
        noisy.iter().for_each(|level| {
            text += &cell(kept(arm, |snapshot| snapshot.gaussian_noise[*level].accuracy))
        });
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::Point;

    fn arm(name: &str, alpha: f64, accuracies: &[[f64; 2]]) -> Followed {
        let snapshot = |(epoch, [clean, noisy]): (usize, &[f64; 2])| Snapshot {
            epoch: epoch + 1,
            clean_accuracy: *clean,
            gaussian_noise: vec![
                Point { level: 0.0, accuracy: *clean },
                Point { level: 0.2, accuracy: *noisy },
            ],
        };
        let curve: Vec<Snapshot> = accuracies.iter().enumerate().map(snapshot).collect();
        let mut words = name.split(' ').map(str::to_owned);
        let kind = words.next().unwrap();
        Followed {
            name: name.to_owned(),
            has_target: kind != "none",
            kind,
            own: words.map(|setting| setting.split('=').next().unwrap().to_owned()).collect(),
            alpha,
            seeds: vec![(curve.clone(), 1), (curve, 0)],
        }
    }

    #[test]
    fn the_table_has_the_networks_that_were_kept() {
        let arms = [arm("none", 0.0, &[[0.4, 0.3], [0.6, 0.2]])];
        let text = table(&arms);
        assert!(text.contains("| none | 2 | 1.5 | 60.0, 40.0 | 20.0, 30.0 |"), "{text}");
    }

    #[test]
    fn targets_with_several_alphas_make_a_line() {
        let epochs = [[0.4, 0.3], [0.6, 0.2]];
        let arms = [
            arm("none", 0.0, &epochs),
            arm("denoised", 20.0, &epochs),
            arm("denoised alpha=5", 5.0, &epochs),
            arm("raw", 20.0, &epochs),
        ];
        let names: Vec<String> = drawn(&arms).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["epochs-0.00", "alpha-0.00", "epochs-0.20", "alpha-0.20"]);
        let lines = over_alpha(&arms, 1);
        assert_eq!(
            (lines.len(), lines[0].name.as_str(), lines[0].points.len()),
            (1, "denoised", 2)
        );
    }
}
