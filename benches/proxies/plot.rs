//! The plots: for each figure one SVG, a panel for each protocol, bars by contestant, whiskers from least to greatest.

use std::path::Path;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::arguments::clients;
use super::contestants::Who;
use super::load::Sample;
use super::report::Findings;
use super::rounds::Series;
use super::scatter;
use super::spread::Spread;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const PANEL: (u32, u32) = (400, 300);
const HEADING: u32 = 64;
const FONT: &str = "sans-serif";
/// Of a group's width.
const BARS_SHARE: f64 = 0.84;

#[derive(Debug)]
pub struct Plot {
    pub title: &'static str,
    pub file: &'static str,
}

struct Figure {
    plot: Plot,
    of: fn(&Sample) -> Option<f64>,
}

const FIGURES: [Figure; 4] = [
    Figure {
        plot: Plot { title: "Point selects: transactions per second", file: "rate.svg" },
        of: |sample| Some(sample.per_second),
    },
    Figure {
        plot: Plot { title: "Point selects: median latency, µs", file: "latency-p50.svg" },
        of: |sample| Some(sample.p50),
    },
    Figure {
        plot: Plot { title: "Point selects: 99th percentile of latency, µs", file: "latency-p99.svg" },
        of: |sample| Some(sample.p99),
    },
    Figure {
        plot: Plot { title: "Point selects: CPU of the proxy for a transaction, µs", file: "proxy-cpu.svg" },
        of: |sample| sample.proxy_cpu,
    },
];

/// What was drawn of point selects, in order.
pub fn write_all(folder: &Path, findings: &Findings) -> anyhow::Result<Vec<Plot>> {
    let mut drawn = Vec::new();
    if let Some(scatter) = &findings.scatter {
        scatter::plot::write(folder, &scatter.curves)?;
    }
    if findings.points.is_empty() {
        return Ok(drawn);
    }
    for Figure { plot, of } in FIGURES {
        let path = folder.join(plot.file);
        draw(&path, &plot, &findings.points, of)
            .map_err(|error| anyhow!("drawing {}: {error}", path.display()))?;
        drawn.push(plot);
    }
    Ok(drawn)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(path: &Path, plot: &Plot, points: &[Series], of: fn(&Sample) -> Option<f64>) -> Drawn {
    let modes: Vec<&[Series]> = points.chunk_by(|a, b| a.mode == b.mode).collect();
    let size = (PANEL.0 * modes.len() as u32, PANEL.1 + HEADING);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(plot.title, (12, 10), (FONT, 18)))?;
    let shown: Vec<Who> = Who::ALL
        .into_iter()
        .filter(|who| points.iter().any(|series| series.who == *who && spread(series, of).is_some()))
        .collect();
    legend(&root, &shown)?;
    let top = points.iter().filter_map(|series| Some(spread(series, of)?.max)).fold(0.0, f64::max);
    let (_, panels) = root.split_vertically(HEADING);
    for (area, series) in panels.split_evenly((1, modes.len())).iter().zip(modes) {
        panel(area, series, &shown, top * 1.05, of)?;
    }
    root.present()?;
    Ok(())
}

fn legend(root: &Area<'_>, shown: &[Who]) -> Drawn {
    let mut left = 12;
    for who in shown {
        root.draw(&Rectangle::new([(left, 42), (left + 12, 54)], color(*who).filled()))?;
        root.draw(&Text::new(who.name(), (left + 18, 42), (FONT, 13)))?;
        left += 40 + 7 * who.name().len() as i32;
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    series: &[Series],
    shown: &[Who],
    top: f64,
    of: fn(&Sample) -> Option<f64>,
) -> Drawn {
    let groups: Vec<&[Series]> = series.chunk_by(|a, b| a.clients == b.clients).collect();
    let mode = series.first().map(|series| series.mode.to_string()).unwrap_or_default();
    let mut chart = ChartBuilder::on(area)
        .caption(mode, (FONT, 14))
        .margin(8)
        .y_label_area_size(58)
        .x_label_area_size(28)
        .build_cartesian_2d(0.0..groups.len() as f64, 0.0..top.max(1.0))?;
    let whole = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&whole)
        .draw()?;
    let width = BARS_SHARE / shown.len().max(1) as f64;
    for (group, series) in groups.iter().enumerate() {
        for (place, who) in shown.iter().enumerate() {
            let found = series.iter().find(|series| series.who == *who);
            let Some(Spread { median, min, max }) = found.and_then(|series| spread(series, of)) else {
                continue;
            };
            let left = group as f64 + (1.0 - BARS_SHARE) / 2.0 + place as f64 * width;
            let (right, middle) = (left + width * 0.9, left + width * 0.45);
            let bar = Rectangle::new([(left, 0.0), (right, median)], color(*who).filled());
            let whisker = PathElement::new([(middle, min), (middle, max)], BLACK.mix(0.6));
            chart.draw_series([bar])?;
            chart.draw_series([whisker])?;
        }
        let label = clients(series.first().map_or(0, |series| series.clients));
        let (x, y) = chart.backend_coord(&(group as f64 + 0.5, 0.0));
        let (left, above) = area.get_base_pixel();
        let at = (x - left - 4 * label.len() as i32 + 4, y - above + 8);
        area.draw(&Text::new(label, at, (FONT, 13)))?;
    }
    Ok(())
}

fn spread(series: &Series, of: fn(&Sample) -> Option<f64>) -> Option<Spread> {
    Spread::of(series.samples.iter().filter_map(of))
}

fn color(who: Who) -> RGBColor {
    match who {
        Who::Direct => RGBColor(0x9a, 0x9a, 0x9a),
        Who::Relay => RGBColor(0xc9, 0xb2, 0x8b),
        Who::PgBouncer => RGBColor(0xe0, 0x8a, 0x3c),
        Who::MeridianOne => RGBColor(0x2b, 0x6c, 0xb0),
        Who::MeridianFour => RGBColor(0x7f, 0xb3, 0xe0),
    }
}
