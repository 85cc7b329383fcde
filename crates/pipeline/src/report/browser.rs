//! Tests the page in a headless browser: moves the pointer over figures, and clicks a legend and
//! table headers.

use super::csv::Csv;
use super::figure::Figure;
use super::heatmap::{Thumbnail, heatmap};
use super::page::Page;
use super::plots::{Axes, Curve, Rgb, color, curves, histogram, scatter};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// A browser, or the reason that there is none.
fn chromium() -> Result<PathBuf, String> {
    if std::env::var_os("CI").is_some() {
        return Err("CI is set".into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files =
        std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    files
        .find(|file| file.is_file())
        .ok_or_else(|| format!("none of {} is in PATH", NAMES.join(", ")))
}

fn page() -> String {
    let mut page = Page::default();
    page.title("A page", "with one of everything");
    page.section("Figures", "");
    let axes = |title| Axes { title, x: "noise", y: "accuracy", y_range: None };
    let curve = |name: &str, first: f64| Curve {
        name: name.into(),
        color: color(name, 0),
        points: vec![(0.0, first, 0.0), (0.25, first - 0.25, 0.125), (0.5, first - 0.5, 0.0)],
    };
    let both = |title| curves(&axes(title), &[curve("none", 0.75), curve("denoised", 0.875)]);
    let (size, pixels) = (3, [0.5; 4]);
    let value = |i: usize, j: usize| (10 * i + j) as f32 / 100.0;
    let picture =
        heatmap(size, 1.0, value, |_| Thumbnail { height: 2, width: 2, pixels: &pixels }).unwrap();
    let mut numbers = Csv::new(&["image", "a", "b", "c"]);
    for i in 0..size {
        numbers.line(
            std::iter::once("name".to_owned()).chain((0..size).map(|j| value(i, j).to_string())),
        );
    }
    page.figures(&[
        both("First"),
        both("Second"),
        scatter(&axes("Points"), &[(0.25, 0.5), (0.75, 1.0)], &[1.0], Rgb(0, 0, 0)),
        histogram(&axes("Bars"), &[0.0, 0.0, 1.0], 2, Rgb(0, 0, 0)),
        Figure::new("Matrix", picture.image("a matrix"), numbers),
    ]);
    page.section("Table", "");
    let long = "a header that is much wider than a phone, so that a table of three such columns cannot stand beside each other";
    let rows = [
        ["b 10", "9.5 ± 1%", "x"],
        ["b 9", "–", "y"],
        ["a", "10.5 ± 2%", "z"],
        ["c", "-3.0%", "w"],
    ];
    let rows: Vec<_> = rows.iter().map(|row| (None, row.map(str::to_owned).to_vec())).collect();
    page.table(&["name", "figure", long].map(str::to_owned), &rows);
    page.finish("A page")
}

/// The result of the script in `browser.js`, in a window of this width.
fn operated(browser: &PathBuf, width: usize) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let script = format!("<script>\n{}</script>\n</body>", include_str!("browser.js"));
    std::fs::write(&path, page().replace("</body>", &script)).unwrap();
    let mut command = Command::new(browser);
    // The browser opens only this page, and containers run as root, so no sandbox is used.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--timeout=30000", "--dump-dom"]);
    command
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", folder.path().join("user").display()));
    let output = command.arg(format!("file://{}", path.display())).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let found =
        text.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let found = found.unwrap_or_else(|| {
        panic!("the script did not end: {}", String::from_utf8_lossy(&output.stderr))
    });
    serde_json::from_str(&found.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
        .unwrap()
}

#[test]
#[expect(clippy::print_stderr, reason = "a test says why it is skipped")]
fn a_browser_shows_values_switches_conditions_and_sorts() {
    let browser = match chromium() {
        Ok(browser) => browser,
        Err(reason) => {
            eprintln!("skipped: the page is not operated in a browser, since {reason}");
            return;
        }
    };
    let wide = operated(&browser, 1200);
    assert_eq!(wide["errors"], json!([]));
    assert_eq!(wide["loaded from elsewhere"], 0);
    assert_eq!(wide["curves"], "noise 0.25|none 0.5 ± 0.125|denoised 0.625 ± 0.125");
    assert_eq!(wide["points"], "noise 0.75|Points 1");
    let bars = wide["bars"].as_str().unwrap();
    assert!(bars.starts_with("noise ") && bars.ends_with("|Bars 2"), "{bars}");
    assert_eq!(wide["matrix"], "image 2 and image 3|similarity 0.12");
    assert_eq!(wide["left"], "", "nothing is shown beside a figure");
    // Both figures have two conditions; a click on the legend of one hides a condition in both.
    assert_eq!(
        (&wide["shown"], &wide["shown without none"], &wide["shown again"]),
        (&json!(4), &json!(2), &json!(4))
    );
    assert_eq!(wide["curves without none"], "noise 0.25|denoised 0.625 ± 0.125");
    assert_eq!(wide["as it was"], "b 10|b 9|a|c");
    assert_eq!(wide["rising"], "c|b 10|a|b 9", "by number, and what has none last");
    assert_eq!(wide["falling"], "a|b 10|c|b 9");
    assert_eq!(wide["by name"], "a|b 9|b 10|c");
    assert_eq!(wide["saved"], "series,noise,accuracy,band on either side");

    let phone = operated(&browser, 400);
    assert!(phone["width"].as_u64().unwrap() <= 640, "{phone}");
    assert_eq!(phone["too wide by"], 0, "nothing reaches over the side of a phone");
    assert_eq!((&phone["rising"], &phone["curves"]), (&wide["rising"], &wide["curves"]));
}
