//! The part `planning`: what it takes to plan a statement, and what the plan cache holds of very many literals.
//!
//! The statements are those of the plan cases, before their topology and catalog: no server is asked. Each is planned again
//! and again in three ways, and its median counts. The steps are those of `session::planning`:
//!
//! ```text
//! new shape       shape ─▶ parse ─▶ make_plan ─▶ insert
//! known shape     shape ─▶ get
//! known at sight  recognise: by a template, the text is not lexed
//! ```

// What a sample cannot be made of ends the bench.
#[expect(clippy::unwrap_used, reason = "shared with tests")]
#[path = "../../tests/plan_support/sample.rs"]
mod sample;

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context;
use meridian::figures::WorkerFigures;
use meridian::plan::PlanningContext;
use meridian::session::board::PlansReport;
use meridian::session::planning::{Asks, Literals, PlanCache, Planned, make_plan};
use meridian::session::set_config::Sets;
use meridian::sql::lexer::LexOptions;
use meridian::sql::parse::parse;
use meridian::sql::shape::{ShapeBuffers, Size, shape};
use meridian::sql::template::Template;

use super::interruption::check;
use super::spread::Spread;

/// As a new shape; the first time, which fills the caches of the processor, is one of them.
const REPETITIONS: usize = 101;
/// One reading of the clock costs as much as a look into the cache.
const LOOKS: usize = 200;
/// The default of `plan_cache_bytes`.
const CACHE_BYTES: usize = 64 << 20;
const LITERALS_BETWEEN_CHECKS: u64 = 100_000;

#[derive(Debug)]
pub struct Planning {
    pub steps: Vec<(&'static str, Times)>,
    pub literals: u64,
    pub held: PlansReport,
}

/// Microseconds, over statements.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub statements: usize,
    pub median: f64,
    pub p90: f64,
}

impl Times {
    fn of(mut micros: Vec<f64>) -> Self {
        micros.sort_by(f64::total_cmp);
        let at = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().unwrap_or_default();
        Self { statements: micros.len(), median: at(0.5), p90: at(0.9) }
    }
}

pub fn measure(literals: u64) -> anyhow::Result<Planning> {
    let planning = sample::Sample::new().context;
    let texts = texts()?;
    eprintln!("planning: {} statements, {literals} literals", texts.len());
    let mut desk = Desk::new(&planning);
    let mut all: [Vec<f64>; 5] = Default::default();
    let [new, parsed, planned, known, at_sight] = &mut all;
    for text in &texts {
        check()?;
        let [whole, parse, plan] = desk.new_shape(text.as_bytes());
        new.push(whole);
        parsed.push(parse);
        planned.push(plan);
        known.extend(desk.known_shape(text.as_bytes()));
        at_sight.extend(desk.at_sight(text.as_bytes()));
    }
    let names = ["new shape", "– of it parse", "– of it plan", "known shape", "known at sight"];
    let steps = names.into_iter().zip(all.map(Times::of)).collect();
    Ok(Planning { steps, literals, held: Desk::new(&planning).hold(literals)? })
}

/// The statements of the plan cases, each shape once.
fn texts() -> anyhow::Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let (mut texts, mut shapes, mut buffers) = (Vec::new(), HashSet::new(), ShapeBuffers::default());
    for path in paths {
        let file = fs::read_to_string(&path)?;
        for case in file.split("\n\n") {
            let Some((head, _)) = case.split_once("\n----") else { continue };
            let lines = head.lines().filter(|line| !line.starts_with('#') && !line.starts_with("params: "));
            let text = lines.collect::<Vec<_>>().join("\n");
            if shapes.insert(shape(text.as_bytes(), LexOptions::default(), &mut buffers).key.to_vec()) {
                texts.push(text);
            }
        }
    }
    Ok(texts)
}

/// What a worker has for planning.
struct Desk<'a> {
    planning: &'a PlanningContext,
    options: LexOptions,
    plans: PlanCache,
    context: u32,
    buffers: ShapeBuffers,
    figures: WorkerFigures,
}

impl<'a> Desk<'a> {
    fn new(planning: &'a PlanningContext) -> Self {
        let mut plans = PlanCache::new(CACHE_BYTES);
        let context = plans.context(planning);
        let (options, buffers) = (LexOptions::default(), ShapeBuffers::default());
        Self { planning, options, plans, context, buffers, figures: WorkerFigures::default() }
    }

    /// Microseconds: all of it, to parse, to plan.
    fn new_shape(&mut self, text: &[u8]) -> [f64; 3] {
        let mut all: [Vec<f64>; 3] = Default::default();
        for _ in 0..REPETITIONS {
            let begun = Instant::now();
            let shape = shape(text, self.options, &mut self.buffers);
            let shaped = Instant::now();
            let parsed = parse(text, self.options);
            let keeps = parsed.cacheable && shape.size == Size::Parseable;
            let read = Instant::now();
            let plan = Rc::new(make_plan(parsed, text, self.options, self.planning));
            let made = Instant::now();
            if keeps {
                self.plans.insert(self.context, shape.key, &plan);
            }
            let times = [begun.elapsed(), read - shaped, made - read];
            all.iter_mut().zip(times).for_each(|(all, time)| all.push(time.as_secs_f64() * 1e6));
        }
        all.map(|times| Spread::of(times).map_or(0.0, |spread| spread.median))
    }

    /// None where its plan is not kept.
    fn known_shape(&mut self, text: &[u8]) -> Option<f64> {
        let shaped = shape(text, self.options, &mut self.buffers);
        if shaped.size == Size::TooLarge {
            return None;
        }
        self.plans.get(self.context, shaped.key)?;
        let begun = Instant::now();
        for _ in 0..LOOKS {
            let shape = shape(black_box(text), self.options, &mut self.buffers);
            black_box(self.plans.get(self.context, shape.key));
            black_box(Literals::from_slice(shape.literals));
        }
        Some(micros_each(begun))
    }

    /// None where its plan is not kept, or the text has no template.
    fn at_sight(&mut self, text: &[u8]) -> Option<f64> {
        self.remember(text)?;
        let begun = Instant::now();
        for _ in 0..LOOKS {
            // As a session whose last text was another.
            let mut last = usize::MAX;
            black_box(self.plans.recognise(self.context, black_box(text), self.options, &mut last));
        }
        Some(micros_each(begun))
    }

    fn remember(&mut self, text: &[u8]) -> Option<()> {
        let shape = shape(text, self.options, &mut self.buffers);
        // One with a hint is not remembered.
        if !matches!(shape.hint, Ok(None)) {
            return None;
        }
        let template = Template::of(text, self.options, &shape)?;
        let planned = Planned {
            context: self.context,
            plan: self.plans.get(self.context, shape.key)?,
            literals: Literals::new(),
            hint: None,
            suspect: false,
            broken: false,
            sets: Sets::Nothing,
            changes_reading: false,
            asks: Asks::Nothing,
        };
        self.plans.remember(text, template, &planned);
        Some(())
    }

    /// As a session plans each of so many statements, no two of which have a literal in common.
    fn hold(mut self, literals: u64) -> anyhow::Result<PlansReport> {
        let mut text = String::new();
        for number in 0..literals {
            if number % LITERALS_BETWEEN_CHECKS == 0 {
                check()?;
            }
            text.clear();
            write!(
                text,
                "SELECT price FROM rides WHERE region = 'eu-central' AND ride_id = {number} AND status = 'is {number}'"
            )?;
            self.look_up(text.as_bytes());
        }
        Ok(self.plans.report(&self.figures))
    }

    fn look_up(&mut self, text: &[u8]) {
        let mut last = usize::MAX;
        if black_box(self.plans.recognise(self.context, text, self.options, &mut last)).is_some() {
            return self.figures.plan_hits.one();
        }
        let shape = shape(text, self.options, &mut self.buffers);
        match self.plans.get(self.context, shape.key) {
            Some(_) => {
                self.figures.plan_hits.one();
                self.remember(text);
            }
            None => {
                self.figures.plan_misses.one();
                let plan = make_plan(parse(text, self.options), text, self.options, self.planning);
                self.plans.insert(self.context, shape.key, &Rc::new(plan));
            }
        }
    }
}

fn micros_each(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / LOOKS as f64
}
