//! The plot of the part: the proxy's memory over time, a line for each scene.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use super::Curve;

pub const TITLE: &str = "Memory of Meridian while rows of four shards pass, MiB over seconds";
pub const FILE: &str = "scatter-memory.svg";

const SIZE: (u32, u32) = (800, 360);
const HEADING: u32 = 64;
const FONT: &str = "sans-serif";
const COLORS: [RGBColor; 3] =
    [RGBColor(0x2b, 0x6c, 0xb0), RGBColor(0xe0, 0x8a, 0x3c), RGBColor(0x5a, 0x9e, 0x6f)];

pub fn write(folder: &Path, curves: &[Curve]) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    draw(&path, curves).map_err(|error| anyhow!("drawing {}: {error}", path.display()))
}

fn draw(path: &Path, curves: &[Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(TITLE, (12, 10), (FONT, 18)))?;
    let mut left = 12;
    for (curve, color) in curves.iter().zip(COLORS) {
        root.draw(&Rectangle::new([(left, 42), (left + 12, 54)], color.filled()))?;
        root.draw(&Text::new(curve.name, (left + 18, 42), (FONT, 13)))?;
        left += 40 + 6 * curve.name.len() as i32;
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let first = points().map(|(at, _)| *at).fold(0.0, f64::min);
    let last = points().map(|(at, _)| *at).fold(1.0, f64::max);
    let top = points().map(|(_, mib)| *mib).fold(1.0, f64::max);
    let (_, area) = root.split_vertically(HEADING);
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .y_label_area_size(48)
        .x_label_area_size(28)
        .build_cartesian_2d(first..last, 0.0..top * 1.1)?;
    let whole = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .x_label_formatter(&whole)
        .y_labels(6)
        .y_label_formatter(&whole)
        .draw()?;
    for (curve, color) in curves.iter().zip(COLORS) {
        chart.draw_series([PathElement::new(curve.points.clone(), color.stroke_width(2))])?;
    }
    root.present()?;
    Ok(())
}
