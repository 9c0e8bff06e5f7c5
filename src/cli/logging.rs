//! What is logged, and how: the file's `[log]`, and the variables `MERIDIAN_LOG` and `MERIDIAN_LOG_FORMAT`, which are
//! stronger. A variable that is set to nothing counts as not set.
//!
//! Invariants:
//! 1. A variable that is not understood is an error: a log that is silent by mistake is found out too late.
//! 2. A line that cannot be written (a full disk, a reader that is gone) is lost, and nothing else is.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings, check_level};

const LEVEL: &str = "MERIDIAN_LOG";
const FORMAT: &str = "MERIDIAN_LOG_FORMAT";

/// What file and variables say together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    level: String,
    format: LogFormat,
}

impl Chosen {
    pub fn new(settings: &LogSettings) -> anyhow::Result<Self> {
        Self::of(settings, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn of(settings: &LogSettings, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let given = |name| variable(name).filter(|value| !value.is_empty());
        let level = match given(LEVEL) {
            None => format!("tokio_postgres=warn,sqlparser=warn,{}", settings.level),
            Some(text) => {
                check_level(&text).map_err(|message| anyhow::anyhow!("{LEVEL}: {message}"))?;
                text
            }
        };
        let format = match given(FORMAT).as_deref() {
            None => settings.format,
            Some("json") => LogFormat::Json,
            Some("text") => LogFormat::Text,
            Some(other) => anyhow::bail!("{FORMAT}: \"{other}\" is neither \"text\" nor \"json\""),
        };
        Ok(Self { level, format })
    }
}

/// Lines go to standard error from now on.
pub(super) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let Chosen { level, format } = Chosen::new(settings)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(level)?)
        .with_ansi(std::io::stderr().is_terminal())
        // It would tell of a line that cannot be written on the very stream, and panic when that fails too.
        .log_internal_errors(false)
        // To complain of standard error on standard error would be a panic of whoever logs.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StatementText;

    #[test]
    fn variables_are_stronger_than_the_file_and_must_be_understood() {
        let (level, format, statements) = ("warn".to_owned(), LogFormat::Text, StatementText::Off);
        let settings = LogSettings { format, level, slow_statement: None, statements };
        let chosen = |level: &str, format: &str| {
            let value = |name: &str| Some(if name == LEVEL { level } else { format }.to_owned());
            Chosen::of(&settings, value).map_err(|error| error.to_string())
        };
        let file = Chosen { level: "tokio_postgres=warn,sqlparser=warn,warn".to_owned(), format };
        assert_eq!(chosen("", ""), Ok(file));
        let stronger = Chosen { level: "debug".to_owned(), format: LogFormat::Json };
        assert_eq!(chosen("debug", "json"), Ok(stronger));
        assert!(
            chosen("loud", "").is_err_and(|error| error.starts_with("MERIDIAN_LOG: \"loud\" is neither"))
        );
        let told = "MERIDIAN_LOG_FORMAT: \"xml\" is neither \"text\" nor \"json\"";
        assert_eq!(chosen("", "xml"), Err(told.to_owned()));
    }
}
