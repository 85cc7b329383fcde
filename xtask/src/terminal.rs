//! Terminal output of the pipeline: progress bars with the remaining time on a terminal, plain
//! lines elsewhere, and a log.

use anyhow::{Context, Result};
use brainprior_pipeline::run::{self, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// The terminal used by the whole pipeline.
#[derive(Clone)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    shows_bars: bool,
}

impl Terminal {
    /// Writes to standard error; shows bars only if it is a terminal.
    pub(crate) fn new() -> Self {
        Self { bars: MultiProgress::new(), shows_bars: std::io::stderr().is_terminal() }
    }
}

impl Progress for Terminal {
    fn line(&self, text: &str) {
        tracing::info!("{text}");
        if self.shows_bars {
            let _ = self.bars.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    fn bar(&self, name: &str, total: u64) -> Box<dyn run::Bar> {
        let bar = if self.shows_bars {
            self.bars.add(ProgressBar::new(total))
        } else {
            ProgressBar::hidden()
        };
        bar.set_length(total);
        let style = ProgressStyle::with_template(
            "  {prefix:<28} {bar:30} {pos:>6}/{len} {eta:>5} left  {msg}",
        );
        bar.set_style(style.expect("the template is valid"));
        bar.set_prefix(name.to_owned());
        Box::new(Bar {
            bar,
            terminal: self.clone(),
            name: name.to_owned(),
            last_line: Instant::now(),
        })
    }
}

/// Progress of one task.
struct Bar {
    bar: ProgressBar,
    terminal: Terminal,
    name: String,
    last_line: Instant,
}

/// Interval between progress lines if bars cannot be drawn.
const LINE_EVERY: Duration = Duration::from_secs(20);

impl run::Bar for Bar {
    fn begin_at(&mut self, position: u64) {
        self.bar.set_position(position);
        self.bar.reset_eta();
    }

    fn set(&mut self, position: u64, total: u64, message: &str) {
        self.bar.set_length(total);
        self.bar.set_position(position);
        self.bar.set_message(message.to_owned());
        if !self.terminal.shows_bars && self.last_line.elapsed() > LINE_EVERY {
            self.last_line = Instant::now();
            let left = self.bar.eta().as_secs();
            self.terminal.line(&format!(
                "    {:<26} {position}/{total}, about {left} s left  {message}",
                self.name
            ));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Opens the log, starting a new line if a full disk truncated the last one.
fn open_log(path: &Path) -> io::Result<File> {
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let mut last = *b"\n";
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// From now on, writes warnings to standard error and, if there is a `log`, all events of the
/// libraries and stages to it: one JSON object per line, appended over the runs of a directory.
pub(crate) fn listen(log: Option<&Path>) -> Result<()> {
    let log = match log {
        None => None,
        Some(path) => {
            let file =
                open_log(path).with_context(|| format!("could not open {}", path.display()))?;
            Some(fmt::layer().json().with_writer(Mutex::new(file)).with_filter(LevelFilter::INFO))
        }
    };
    let warnings = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(LevelFilter::WARN);
    tracing_subscriber::registry()
        .with(log)
        .with(warnings)
        .try_init()
        .context("the log is already set up")
}
