//! What the plan cases stand on: the sample topology and catalog, and parameters written in a case.

pub mod properties;
mod sample;

use meridian::sql::arguments::{INFERRED_ELSEWHERE, Parameters};

pub use sample::Sample;

/// Parameters as a case writes them.
pub struct TextParameters {
    values: Vec<(u32, Option<Vec<u8>>, bool)>,
    repeated: Vec<u32>,
}

impl TextParameters {
    pub fn read(text: &str, repeated: Vec<u32>) -> Self {
        let values = if text.is_empty() { Vec::new() } else { text.split(" | ").map(parameter).collect() };
        Self { values, repeated }
    }
}

fn parameter(text: &str) -> (u32, Option<Vec<u8>>, bool) {
    let (declared, value) = match text.split_once(':') {
        Some((declared, value)) if declared.bytes().all(|b| b.is_ascii_digit()) && !declared.is_empty() => {
            (declared.parse().unwrap(), value)
        }
        _ => (0, text),
    };
    if value == "null" {
        return (declared, None, false);
    }
    match value.strip_prefix("\\x") {
        Some(hex) => {
            let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
            (declared, Some((0..hex.len()).step_by(2).map(byte).collect()), true)
        }
        None => (declared, Some(value.as_bytes().to_vec()), false),
    }
}

impl Parameters for TextParameters {
    fn value(&self, index: usize) -> Option<Option<&[u8]>> {
        self.values.get(index).map(|(_, value, _)| value.as_deref())
    }

    fn is_binary(&self, index: usize) -> bool {
        self.values.get(index).is_some_and(|(_, _, binary)| *binary)
    }

    fn declared_type(&self, index: usize) -> u32 {
        match self.values.get(index).map_or(0, |(declared, _, _)| *declared) {
            0 if self.repeated.contains(&(index as u32)) => INFERRED_ELSEWHERE,
            declared => declared,
        }
    }
}
