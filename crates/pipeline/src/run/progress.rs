//! Who is told how a run goes on. The library owns no terminal.

/// Told what a run does, from several threads at once.
pub trait Progress: Send + Sync {
    /// One line for people.
    fn line(&self, text: &str);

    /// A bar over `total` steps, which is shown until it is dropped.
    fn bar(&self, name: &str, total: u64) -> Box<dyn Bar>;

    /// A task whose artifact was there already.
    fn done_before(&self, task: &str) {
        self.line(&format!("  ✓ {task:<28} already done"));
    }

    /// A task that a dry run would start, and why.
    fn would_run(&self, task: &str, because: &str) {
        self.line(&format!("  · {task:<28} would run: {because}"));
    }

    /// A task that has just ended.
    fn finished(&self, task: &str, seconds: f64) {
        self.line(&format!("  ✓ {task:<28} {seconds:7.1} s"));
    }
}

/// Progress of one task.
pub trait Bar: Send {
    /// Begins at `position`, which an earlier run reached, so that the remaining time counts this run's speed alone.
    fn begin_at(&mut self, position: u64);

    /// Moves to `position` of `total` and shows `message` behind the bar.
    fn set(&mut self, position: u64, total: u64, message: &str);
}

/// Tells nobody.
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
