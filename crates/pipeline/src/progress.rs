//! What a person sees while the pipeline works: bars with the remaining time on a terminal, plain lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The terminal that the whole pipeline writes to.
#[derive(Clone)]
pub struct Terminal {
    bars: MultiProgress,
    shows_bars: bool,
    silent: bool,
}

impl Terminal {
    /// Standard error; bars only where it is a terminal.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new(), shows_bars: std::io::stderr().is_terminal(), silent: false }
    }

    /// Shows nothing, for tests.
    #[cfg(test)]
    pub fn silent() -> Self {
        Self { bars: MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()), shows_bars: false, silent: true }
    }

    /// One line for people.
    pub fn line(&self, text: &str) {
        tracing::info!("{text}");
        if self.silent {
        } else if self.shows_bars {
            let _ = self.bars.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// A task whose artifact was there already.
    pub fn done_before(&self, task: &str) {
        self.line(&format!("  ✓ {task:<28} already done"));
    }

    /// A task that a dry run would start.
    pub fn would_run(&self, task: &str) {
        self.line(&format!("  · {task:<28} would run"));
    }

    /// A task that has just ended.
    pub fn finished(&self, task: &str, seconds: f64) {
        self.line(&format!("  ✓ {task:<28} {seconds:7.1} s"));
    }

    /// A bar over `total` steps.
    pub fn bar(&self, name: &str, total: u64) -> Bar {
        let bar = if self.shows_bars { self.bars.add(ProgressBar::new(total)) } else { ProgressBar::hidden() };
        bar.set_length(total);
        let style = ProgressStyle::with_template("  {prefix:<28} {bar:30} {pos:>6}/{len} {eta:>5} left  {msg}");
        bar.set_style(style.expect("the template is valid"));
        bar.set_prefix(name.to_owned());
        Bar { bar, terminal: self.clone(), name: name.to_owned(), last_line: Instant::now() }
    }
}

/// Progress of one task.
pub struct Bar {
    bar: ProgressBar,
    terminal: Terminal,
    name: String,
    last_line: Instant,
}

/// Where no bar can be drawn, a line tells of progress this often.
const LINE_EVERY: Duration = Duration::from_secs(20);

impl Bar {
    /// Begins at `position`, which an earlier run reached, so that the remaining time counts this run's speed alone.
    pub fn begin_at(&self, position: u64) {
        self.bar.set_position(position);
        self.bar.reset_eta();
    }

    /// Moves to `position` of `total` and shows `message` behind the bar.
    pub fn set(&mut self, position: u64, total: u64, message: &str) {
        self.bar.set_length(total);
        self.bar.set_position(position);
        self.bar.set_message(message.to_owned());
        if !self.terminal.shows_bars && self.last_line.elapsed() > LINE_EVERY {
            self.last_line = Instant::now();
            let left = self.bar.eta().as_secs();
            self.terminal.line(&format!("    {:<26} {position}/{total}, about {left} s left  {message}", self.name));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
