//! The interface for progress reports. The library does not write to the terminal itself.

/// Receives progress reports, from several threads at once.
pub trait Progress: Send + Sync {
    /// Prints one line.
    fn line(&self, text: &str);

    /// Shows a bar over `total` steps until it is dropped.
    fn bar(&self, name: &str, total: u64) -> Box<dyn Bar>;

    /// Reports a task whose artifact already exists.
    fn done_before(&self, task: &str) {
        self.line(&format!("  ✓ {task:<28} already done"));
    }

    /// Reports a task that a dry run would start, and why.
    fn would_run(&self, task: &str, because: &str) {
        self.line(&format!("  · {task:<28} would run: {because}"));
    }

    /// Reports a task that has just finished.
    fn finished(&self, task: &str, seconds: f64) {
        self.line(&format!("  ✓ {task:<28} {seconds:7.1} s"));
    }
}

/// Progress of one task.
pub trait Bar: Send {
    /// Starts at `position`, reached by an earlier run, so that the remaining time only uses the
    /// speed of this run.
    fn begin_at(&mut self, position: u64);

    /// Moves to `position` of `total` and shows `message` after the bar.
    fn set(&mut self, position: u64, total: u64, message: &str);
}

/// Discards progress reports.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn line(&self, _text: &str) {}

    fn bar(&self, _name: &str, _total: u64) -> Box<dyn Bar> {
        Box::new(Self)
    }
}

impl Bar for Silent {
    fn begin_at(&mut self, _position: u64) {}

    fn set(&mut self, _position: u64, _total: u64, _message: &str) {}
}
