//! Values that TOML has no type for: durations, sizes, secrets.
//!
//! They are read by serde, so that a wrong one is an error at its own place in the file.
//!
//! ```text
//!   "500ms" "10s" "5m" "1h" "0"          durations
//!   "64MiB" "16KiB" "1GiB" "512B" 4096   sizes in bytes
//!   "…" "${VARIABLE}"                    secrets; the second is read from the environment
//! ```
//!
//! Invariant: nothing prints a secret, and no error repeats one.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A password or verifier. Only [`Secret::expose`] gives its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Refuses other types in its own words: serde's would repeat the value.
struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            None if text.is_empty() => Err(E::custom("is empty: leave the key out where there is no secret")),
            None => Ok(Secret::new(text)),
            Some("") => Err(E::custom("\"${}\" names no environment variable")),
            Some(variable) => match std::env::var(variable) {
                Ok(value) if value.is_empty() => {
                    Err(E::custom(format!("the environment variable {variable} is empty")))
                }
                Ok(value) => Ok(Secret(value)),
                Err(_) => Err(E::custom(format!("the environment variable {variable} is not set"))),
            },
        }
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("a secret must be a string"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("a secret must be a string"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("a secret must be a string"))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom("a secret must be a string"))
    }
}

/// A duration as the file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawDuration(pub Duration);

impl<'de> Deserialize<'de> for RawDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format!("\"{text}\" is not a duration (as \"500ms\", \"10s\", \"5m\", \"1h\")"))
        })
    }
}

fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = split_unit(text)?;
    let micros = match unit {
        "us" => number,
        "ms" => number.checked_mul(1_000)?,
        "s" => number.checked_mul(1_000_000)?,
        "m" | "min" => number.checked_mul(60_000_000)?,
        "h" => number.checked_mul(3_600_000_000)?,
        "d" => number.checked_mul(86_400_000_000)?,
        _ => return None,
    };
    Some(Duration::from_micros(micros))
}

/// A number of bytes as the file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawSize(pub u64);

impl<'de> Deserialize<'de> for RawSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = RawSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size (as \"64MiB\" or a number of bytes)")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawSize, E> {
                let no_size = || {
                    E::custom(format!(
                        "\"{text}\" is not a size (as \"64MiB\", \"16KiB\", \"1GiB\", \"512B\")"
                    ))
                };
                size(text).map(RawSize).ok_or_else(no_size)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<RawSize, E> {
                u64::try_from(bytes).map(RawSize).map_err(|_| E::custom("a size cannot be negative"))
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for wrong in
            ["", "10", "s", "-1s", "1.5s", "10 parsecs", "99999999999999999999s", "9999999999999999h"]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("512B"), Some(512));
        for wrong in ["64", "64MB", "-1B", "99999999999GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
