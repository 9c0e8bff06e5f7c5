//! Prometheus' text format: a family of samples after the other. Pure.
//!
//! The exporter's library writes and escapes; this file knows that a family's head comes before its samples.
//!
//! Invariants:
//! 1. A family without samples is not on the page.
//! 2. A sample has a value for each label that its metric declares.

use std::fmt::Write as _;

use metrics_exporter_prometheus::formatting::{sanitize_label_value, write_help_line, write_type_line};

use super::list::Metric;
use crate::figures::{BUCKETS, HistogramSum};

#[derive(Debug, Default)]
pub struct Page {
    text: String,
    family: Option<&'static str>,
}

impl Page {
    pub fn finish(self) -> String {
        self.text
    }

    /// One sample; those of one metric come one after the other.
    pub fn sample(&mut self, metric: &Metric, values: &[&str], value: f64) {
        self.begin(metric);
        self.line(metric.name, metric, values, None, value);
    }

    pub fn histogram(&mut self, metric: &Metric, values: &[&str], sum: &HistogramSum) {
        self.begin(metric);
        let bucket = format!("{}_bucket", metric.name);
        let mut below = 0;
        for (count, bound) in sum.buckets.iter().zip(BUCKETS) {
            below += count;
            let bound = (bound as f64 / 1e6).to_string();
            self.line(&bucket, metric, values, Some(&bound), below as f64);
        }
        let count = sum.count() as f64;
        self.line(&bucket, metric, values, Some("+Inf"), count);
        self.line(&format!("{}_sum", metric.name), metric, values, None, sum.micros as f64 / 1e6);
        self.line(&format!("{}_count", metric.name), metric, values, None, count);
    }

    fn begin(&mut self, metric: &Metric) {
        if self.family != Some(metric.name) {
            self.family = Some(metric.name);
            write_help_line(&mut self.text, metric.name, None, None, metric.help);
            write_type_line(&mut self.text, metric.name, None, None, metric.kind.word());
        }
    }

    fn line(&mut self, name: &str, metric: &Metric, values: &[&str], bound: Option<&str>, value: f64) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{name}");
        self.text.push_str(name);
        let labels = metric.labels.iter().copied().zip(values.iter().copied());
        let mut sign = '{';
        for (label, value) in labels.chain(bound.map(|bound| ("le", bound))) {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{sign}{label}=\"{}\"", sanitize_label_value(value));
            sign = ',';
        }
        if sign == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}
