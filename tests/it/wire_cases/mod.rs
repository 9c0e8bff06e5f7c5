//! Wire cases: `tests/cases/wire/*.txt`, run against a plain PostgreSQL and against Meridian; both must match.
//!
//! A case is held to its text (`script` tells its form) by the parts that every PostgreSQL answers alike; and Meridian
//! is held to what the plain server answered a moment ago in full: the wording of errors, their positions, columns'
//! sizes and modifiers. After a case each connection must have nothing more to say.
//!
//! `UPDATE=1` rewrites the files from the plain server's answers, for review.

pub mod script;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::stand::{self, Kind, Message, PLACES_AND_COLOURS, Pair, RawClient, Received, Target, terminate};
use script::{Line, Until};

/// One message of an answer, or its end.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    session: String,
    line: String,
    detail: String,
}

/// Everything that was said in a file, with the number of the run's last line.
type Transcript = Vec<(usize, Vec<Said>)>;

#[test]
fn wire_cases_match_on_postgres_and_meridian() {
    let pair = Pair::new("wire", PLACES_AND_COLOURS);
    let only = std::env::var("CASE").unwrap_or_default();
    let major = stand::servers_major();
    let mut differences = String::new();
    let mut count = 0;
    for path in files().iter().filter(|path| path.to_string_lossy().contains(&only)) {
        let text = fs::read_to_string(path).expect("a case can be read");
        let lines = script::lines(&text);
        let updates = std::env::var_os("UPDATE").is_some();
        let lines = if updates { lines } else { script::for_servers(lines, major) };
        let plain = run(&lines, &pair.plain);
        if updates {
            let text: String = rewritten(lines, &plain).iter().map(|line| line.printed() + "\n").collect();
            fs::write(path, text).expect("a case can be rewritten");
            continue;
        }
        count += lines.iter().filter(|line| matches!(line, Line::Case(_))).count();
        differences += &compare_with_file(path, &lines, &plain, Kind::Postgres);
        if let Some(target) = &pair.meridian {
            let answer = run(&lines, target);
            let from_file = compare_with_file(path, &lines, &answer, Kind::Meridian);
            // What differs in the rough differs in detail.
            let malformed = lines.contains(&Line::Malformed);
            differences += &from_file;
            if from_file.is_empty() && !malformed {
                differences += &compare_in_detail(path, &plain, &answer);
            }
        }
    }
    println!("{count} wire cases");
    assert!(differences.is_empty(), "\n{differences}");
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/wire");
    let entries = fs::read_dir(folder).expect("the folder of wire cases").flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

/// Plays a file on a target.
fn run(lines: &[Line], target: &Target) -> Transcript {
    let mut sessions: BTreeMap<String, RawClient> = BTreeMap::new();
    let mut transcript = Transcript::new();
    let mut teardown: Vec<&str> = Vec::new();
    let mut sends: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match line {
            Line::Setup(statement) => target.run(&[statement]),
            Line::Teardown(statement) => teardown.push(statement),
            Line::Case(_) => transcript.push((index, dismissed(&mut sessions))),
            Line::Send { session, text, more } => {
                sends.push(text.clone());
                let next = lines.get(index + 1);
                let ends = matches!(next, Some(Line::Until { session: next, .. }) if next == session);
                if *more && !ends {
                    continue;
                }
                let client = sessions.entry(session.clone()).or_insert_with(|| target.raw());
                // A refused COPY takes no data, and says nothing to them.
                let refused = may_be_refused(lines, index) && is_refused(&transcript);
                if refused && sends.iter().all(|send| is_copy_data(send)) {
                    transcript.push((index, Vec::new()));
                    sends.clear();
                    continue;
                }
                let bytes: Vec<u8> = sends.iter().flat_map(|send| script::bytes(send)).collect();
                client.send(&bytes);
                if !ends {
                    let said = read(client, session, &Until::usual(&sends), &sends);
                    transcript.push((index, in_order(said, |said| &said.line)));
                }
                sends.clear();
            }
            Line::Until { session, text } => {
                let client = sessions.entry(session.clone()).or_insert_with(|| target.raw());
                let said = read(client, session, &Until::read(text), &[]);
                transcript.push((index, in_order(said, |said| &said.line)));
            }
            Line::Expect { .. }
            | Line::Other(_)
            | Line::Malformed
            | Line::MayBeRefused
            | Line::Servers(..) => {}
        }
    }
    transcript.push((lines.len(), dismissed(&mut sessions)));
    target.run(&teardown);
    transcript
}

/// Ends all sessions; what they had left to say.
fn dismissed(sessions: &mut BTreeMap<String, RawClient>) -> Vec<Said> {
    let mut said = Vec::new();
    for (session, mut client) in std::mem::take(sessions) {
        client.send(&terminate());
        client.set_patience(Duration::from_secs(3));
        while let Received::Message(message) = client.receive() {
            if !is_new(&message) {
                said.push(of(&session, &message));
            }
        }
    }
    said
}

/// Parameters that are reported one after the other come in an order of each server's own: here, in that of their names.
fn in_order<T>(mut said: Vec<T>, line: fn(&T) -> &str) -> Vec<T> {
    let is_report = |said: &T| line(said).starts_with("S ");
    for run in said.chunk_by_mut(|one, next| is_report(one) && is_report(next)) {
        run.sort_by(|one, next| line(one).cmp(line(next)));
    }
    said
}

/// What only newer servers say: PostgreSQL 18 reports the search_path.
fn is_new(message: &Message) -> bool {
    message.tag == b'S' && message.line().starts_with("S search_path ")
}

fn of(session: &str, message: &Message) -> Said {
    Said { session: session.to_owned(), line: message.line(), detail: message.detail() }
}

fn read(client: &mut RawClient, session: &str, until: &Until, sends: &[String]) -> Vec<Said> {
    let mut said = Vec::new();
    let mut awaited = match until {
        Until::Tags(tags) => tags.clone(),
        _ => Vec::new(),
    };
    let sent_data = sends.iter().any(|send| is_copy_data(send));
    loop {
        let done = match until {
            Until::Tags(_) => awaited.is_empty(),
            Until::Count(count) => said.len() >= *count,
            Until::Closed => false,
            Until::Nothing => true,
        };
        if done {
            return said;
        }
        let word = match client.receive() {
            Received::Message(message) if is_new(&message) => continue,
            Received::Message(message) => {
                said.push(of(session, &message));
                if awaited.first() == Some(&message.tag) {
                    awaited.remove(0);
                }
                if message.tag == b'G' && !sends.is_empty() && !sent_data {
                    return said;
                }
                continue;
            }
            Received::Closed => "closed",
            Received::Silence => "(nothing comes)",
        };
        said.push(Said { session: session.to_owned(), line: word.to_owned(), detail: String::new() });
        return said;
    }
}

fn is_copy_data(send: &str) -> bool {
    ["d", "c", "f"].contains(&send.split(' ').next().unwrap_or_default())
}

/// The last run was answered by a refusal.
fn is_refused(transcript: &Transcript) -> bool {
    let last = transcript.last().map_or(&[][..], |(_, said)| &said[..]);
    last.iter().any(|said| said.line.starts_with("E ERROR 0A000"))
}

/// The expected lines that follow the run that ends at this line.
fn expected(lines: &[Line], end: usize) -> Vec<(String, String)> {
    let after = lines.iter().skip(end + 1);
    let block = after.take_while(|line| matches!(line, Line::Expect { .. }));
    let lines = block.filter_map(|line| match line {
        Line::Expect { session, text } => Some((session.clone(), text.clone())),
        _ => None,
    });
    in_order(lines.collect(), |(_, line)| line)
}

/// The connection is closed, and if anything is said, that the protocol was violated.
fn ends_for_malformed(said: &[Said]) -> bool {
    said.last().is_some_and(|last| last.line == "closed")
        && said.iter().filter(|said| said.line.starts_with('E')).all(|said| said.line.contains(" 08P01 "))
        && !said.iter().any(|said| said.line.starts_with('D') || said.line.starts_with('C'))
}

/// Errors and notices by severity and SQLSTATE only: wording differs between versions.
fn rough(line: &str) -> String {
    if line.starts_with("E ") || line.starts_with("N ") {
        return line.split(' ').take(3).collect::<Vec<_>>().join(" ");
    }
    line.to_owned()
}

fn compare_with_file(path: &Path, lines: &[Line], transcript: &Transcript, kind: Kind) -> String {
    let lenient = kind == Kind::Meridian && lines.contains(&Line::Malformed);
    let mut differences = String::new();
    let mut refused = None;
    for (end, said) in transcript {
        if kind == Kind::Meridian && may_be_refused(lines, *end) {
            let case = case_of(lines, *end);
            let here = said.iter().any(|said| said.line.starts_with("E ERROR 0A000"));
            refused = if here { Some(case) } else { refused.filter(|refused| *refused == case) };
            if refused.is_some() {
                continue;
            }
        }
        let wanted = expected(lines, *end);
        let same = wanted.len() == said.len()
            && wanted
                .iter()
                .zip(said)
                .all(|((session, line), said)| *session == said.session && rough(line) == rough(&said.line));
        if same || (lenient && ends_for_malformed(said)) {
            continue;
        }
        let _ = writeln!(differences, "{} case \"{}\", {kind:?}:", place(path, *end), case_of(lines, *end));
        wanted.iter().for_each(|(session, line)| {
            let _ = writeln!(differences, "    expected {session}< {line}");
        });
        said.iter().for_each(|said| {
            let _ = writeln!(differences, "    got      {}< {}", said.session, said.line);
        });
    }
    differences
}

fn compare_in_detail(path: &Path, plain: &Transcript, answer: &Transcript) -> String {
    let mut differences = String::new();
    for ((end, one), (_, other)) in plain.iter().zip(answer) {
        for (one, other) in one.iter().zip(other).filter(|(one, other)| {
            one.line.split(' ').take(3).eq(other.line.split(' ').take(3)) && one != other
        }) {
            let _ = writeln!(differences, "{} in detail:", place(path, *end));
            let _ = writeln!(differences, "    PostgreSQL {} {}", one.line, one.detail);
            let _ = writeln!(differences, "    Meridian   {} {}", other.line, other.detail);
        }
    }
    differences
}

fn place(path: &Path, index: usize) -> String {
    format!("{}:{}", path.file_name().unwrap_or_default().to_string_lossy(), index + 1)
}

fn case_of(lines: &[Line], end: usize) -> &str {
    let before = lines[..end.min(lines.len())].iter().rev();
    before
        .filter_map(|line| if let Line::Case(name) = line { Some(name.as_str()) } else { None })
        .next()
        .unwrap_or("")
}

/// Whether the case of this line announces a refusal.
fn may_be_refused(lines: &[Line], end: usize) -> bool {
    let of_the_case =
        lines[..end.min(lines.len())].iter().rev().take_while(|line| !matches!(line, Line::Case(_)));
    of_the_case.into_iter().any(|line| *line == Line::MayBeRefused)
}

/// The file with what this target said in place of what was expected.
fn rewritten(lines: Vec<Line>, transcript: &Transcript) -> Vec<Line> {
    let mut result = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        if matches!(line, Line::Expect { .. }) {
            continue;
        }
        result.push(line);
        for (_, said) in transcript.iter().filter(|(end, _)| *end == index) {
            result.extend(
                said.iter()
                    .map(|said| Line::Expect { session: said.session.clone(), text: said.line.clone() }),
            );
        }
    }
    result
}
