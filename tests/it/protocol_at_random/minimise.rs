//! The shortest session that still differs in the same way: writes are left out, then messages, then statements of a Query.

use super::compare::Difference;
use super::messages::Write;

/// Sessions that may be played for one difference.
const TRIALS_MAX: u32 = 250;

/// `play` is the difference of a session, if it has one.
pub fn shortest(found: Difference, mut play: impl FnMut(&[Write]) -> Option<Difference>) -> Difference {
    let kind = found.kind();
    let mut trials = 0;
    let mut best = found;
    let mut still = |writes: Vec<Write>, best: &mut Difference| {
        trials += 1;
        let found = (trials <= TRIALS_MAX).then(|| play(&writes)).flatten();
        match found {
            Some(found) if found.kind() == kind && found.size() < best.size() => {
                *best = found;
                true
            }
            _ => false,
        }
    };
    loop {
        let before = best.size();
        let mut width = best.writes.len() / 2;
        while width > 0 {
            let mut at = 0;
            while at + width <= best.writes.len() {
                if !still(without(&best.writes, at, width), &mut best) {
                    at += width;
                }
            }
            width /= 2;
        }
        each_smaller(&mut best, &mut still);
        if best.size() == before {
            return best;
        }
    }
}

impl Difference {
    /// Bytes that are sent.
    fn size(&self) -> usize {
        self.writes.iter().flatten().map(|line| line.len() + 1).sum()
    }

    /// As a wire case would have it: PostgreSQL's answer behind `<`, Meridian's behind `!`.
    pub fn printed(&self) -> String {
        let mut text = String::new();
        for write in &self.writes {
            for (at, line) in write.iter().enumerate() {
                text += if at + 1 < write.len() { ">+ " } else { "> " };
                text += line;
                text.push('\n');
            }
        }
        self.expected.iter().for_each(|line| text += &format!("< {line}\n"));
        self.got.iter().for_each(|line| text += &format!("! {line}\n"));
        text
    }
}

fn without<T: Clone>(all: &[T], at: usize, count: usize) -> Vec<T> {
    [&all[..at], &all[at + count..]].concat()
}

/// Each write without one of its messages, or with one statement less.
fn each_smaller(best: &mut Difference, still: &mut impl FnMut(Vec<Write>, &mut Difference) -> bool) {
    let mut at = 0;
    while at < best.writes.len() {
        let smaller = smaller(&best.writes[at]).into_iter().any(|write| {
            let mut writes = best.writes.clone();
            writes[at] = write;
            still(writes, best)
        });
        if !smaller {
            at += 1;
        }
    }
}

fn smaller(write: &Write) -> Vec<Write> {
    let fewer = (0..write.len()).filter(|_| write.len() > 1).map(|at| without(write, at, 1));
    // Whatever ends a write stays, or its answer would have no end.
    let ends = |write: &Write| {
        write.last().is_some_and(|line| ["Q", "S", "H", "c", "f"].iter().any(|tag| line.starts_with(tag)))
    };
    let mut found: Vec<_> = fewer.filter(ends).collect();
    for (at, line) in
        write.iter().enumerate().filter(|(_, line)| line.starts_with("Q ") && !line.contains("$$"))
    {
        let statements: Vec<_> = line[2..].split("; ").collect();
        for out in (0..statements.len()).filter(|_| statements.len() > 1) {
            let mut write = write.clone();
            write[at] = format!("Q {}", without(&statements, out, 1).join("; "));
            found.push(write);
        }
    }
    found
}
