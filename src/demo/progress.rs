//! What the demonstration says while it works: bars on a terminal, a line a step elsewhere, nothing if told so.
//!
//! All of it goes to standard error; standard output is for answers.
//!
//! Invariants:
//! 1. A log file gets whole lines and no control characters.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Silent,
}

/// How to report.
#[derive(Debug, Clone, Copy)]
pub struct Progress(Style);

/// Something that takes a while.
#[derive(Debug)]
pub struct Step {
    style: Style,
    bar: ProgressBar,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        Self(match (quiet, console_is_attended()) {
            (true, _) => Style::Silent,
            (false, true) => Style::Bars,
            (false, false) => Style::Lines,
        })
    }

    /// Says nothing at all.
    pub fn silent() -> Self {
        Self(Style::Silent)
    }

    pub fn say(self, what: &str) {
        if self.0 != Style::Silent {
            eprintln!("{what}");
        }
    }

    /// A step of unknown length.
    pub fn step(self, what: &str) -> Step {
        let bar = self.bar(ProgressBar::new_spinner());
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Step { style: self.0, bar }
    }

    /// A step of so many rows.
    pub fn rows(self, what: &str, rows: u64) -> Step {
        let bar = self.bar(ProgressBar::new(rows));
        if let Ok(style) = ProgressStyle::with_template("{msg:<18} {wide_bar} {pos:>9} rows {per_sec:>14}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Step { style: self.0, bar }
    }

    fn bar(self, bar: ProgressBar) -> ProgressBar {
        if self.0 != Style::Bars {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar
    }
}

impl Step {
    pub fn advance(&self, rows: u64) {
        self.bar.inc(rows);
    }

    /// Ends the step, with a line that stays.
    pub fn done(self, what: &str) {
        self.bar.finish_and_clear();
        if self.style != Style::Silent {
            eprintln!("{what}");
        }
    }
}

fn console_is_attended() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
