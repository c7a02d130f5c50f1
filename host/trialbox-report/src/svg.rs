//! Figures as SVG. A plot is a few paths, one for all trials of a kind: a point takes about ten bytes.
//!
//! In each path, a trial starts with an absolute `M`, at its place; `data-t` lists the trials' numbers as differences.
//! The page's script finds the trials by that.

use crate::figure::{Axis, Figure, Layer, Panel, Point};
use crate::kind::Kind;
use crate::markup::{Markup, coordinate};
use crate::number::short;
use crate::scale::Scale;
use trialbox_core::value::text::{one_line, shorten};

/// The style of figures, in the page and in files.
pub(crate) const STYLE: &str = include_str!("figure.css");

const NARROW: (f64, f64) = (460.0, 280.0);
const WIDE: (f64, f64) = (940.0, 330.0);

/// The usual width of a character of a label.
const CHARACTER: f64 = 6.6;

/// The longest title, in characters of a narrow plot.
const MAX_TITLE_CHARS: usize = 52;

/// The area of a plot within its picture.
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Area {
    fn x(&self, place: f64) -> f64 {
        self.left + place * self.width
    }

    fn y(&self, place: f64) -> f64 {
        self.top + (1.0 - place) * self.height
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Returns the place of a point; `None` if an axis has no place for it.
    fn point(&self, panel: &Panel, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((self.x(panel.x.scale.place(x)?), self.y(panel.y.scale.place(y)?)))
    }
}

impl Figure {
    /// Returns the figure as an SVG file with its title, its caption and its legend.
    pub fn to_svg(&self) -> String {
        let mut svg = Markup::default();
        let width = if self.panels.iter().any(|panel| panel.is_wide) || self.panels.len() > 1 {
            WIDE.0
        } else {
            NARROW.0
        };
        let mut places = Vec::new();
        let (mut x, mut y, mut row_height) = (0.0, 66.0, 0.0);
        for panel in &self.panels {
            let size = size(panel);
            if x + size.0 > width {
                (x, y, row_height) = (0.0, y + row_height, 0.0);
            }
            places.push((x, y));
            x += size.0 + 20.0;
            row_height = f64::max(row_height, size.1 + 8.0);
        }
        let height = y + row_height + 8.0;
        svg.open(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg".into()),
                ("width", width.into()),
                ("height", height.into()),
                ("role", "img".into()),
                ("aria-label", (&self.caption).into()),
            ],
        );
        svg.raw("<style>");
        svg.raw(STYLE);
        svg.raw("</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>");
        text(&mut svg, "title", (10.0, 20.0), self.kind.title());
        let caption = shorten(&self.caption, (width / CHARACTER) as usize);
        text(&mut svg, "caption", (10.0, 38.0), &caption);
        legend(&mut svg, &self.kinds(), (10.0, 54.0));
        for (panel, (x, y)) in self.panels.iter().zip(places) {
            let size = size(panel);
            svg.open(
                "svg",
                &[
                    ("x", x.into()),
                    ("y", y.into()),
                    ("width", size.0.into()),
                    ("height", size.1.into()),
                ],
            );
            draw(&mut svg, panel);
            svg.close("svg");
        }
        svg.close("svg");
        svg.into_string()
    }

    /// Returns the kinds of trials that its plots show.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.panels.iter().flat_map(Panel::kinds).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Adds a plot to the page.
pub(crate) fn plot(html: &mut Markup, panel: &Panel, label: &str) {
    let (width, height) = size(panel);
    let view = format!("0 0 {} {}", coordinate(width), coordinate(height));
    let class = if panel.is_wide { "plot wide" } else { "plot" };
    let label = match &panel.title {
        Some(title) => format!("{title}. {label}"),
        None => label.to_owned(),
    };
    html.open(
        "svg",
        &[
            ("class", class.into()),
            ("viewBox", (&view).into()),
            ("role", "img".into()),
            ("aria-label", (&shorten(&one_line(&label), 300)).into()),
        ],
    );
    draw(html, panel);
    html.close("svg");
}

/// Adds a legend: the marker and the word of each kind, from left to right.
pub(crate) fn legend(svg: &mut Markup, kinds: &[Kind], (x, y): (f64, f64)) {
    let mut x = x + 6.0;
    for kind in kinds {
        let mut d = format!("M{} {}", coordinate(x), coordinate(y - 4.0));
        d.push_str(marker(*kind));
        svg.open("path", &[("class", class(*kind).into()), ("d", (&d).into())]);
        svg.close("path");
        text(svg, "label", (x + 10.0, y), kind.as_str());
        x += 30.0 + CHARACTER * kind.as_str().len() as f64;
    }
}

fn size(panel: &Panel) -> (f64, f64) {
    let (width, usual) = if panel.is_wide { WIDE } else { NARROW };
    let height = match &panel.y.scale {
        Scale::Names(names) => 64.0 + 17.0 * names.len().max(3) as f64,
        _ => usual,
    };
    (width, height)
}

fn area(panel: &Panel) -> Area {
    let (width, height) = size(panel);
    let is_parallel = is_parallel(panel);
    let longest = if is_parallel {
        0
    } else {
        let ticks = panel.y.scale.ticks(6);
        ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0)
    };
    let has_label = !panel.y.label.is_empty();
    let left = match is_parallel {
        true => 70.0,
        false => 14.0 + CHARACTER * longest as f64 + if has_label { 18.0 } else { 0.0 },
    };
    let top = match (&panel.title, &panel.flag, is_parallel) {
        (_, _, true) => 38.0,
        (Some(_), Some(_), _) => 42.0,
        (Some(_), None, _) => 26.0,
        _ => 12.0,
    };
    let bottom = if panel.x.label.is_empty() { 28.0 } else { 44.0 };
    let right = if is_parallel { 70.0 } else { 16.0 };
    Area { left, top, width: width - left - right, height: height - top - bottom }
}

fn is_parallel(panel: &Panel) -> bool {
    panel.layers.iter().any(|layer| matches!(layer, Layer::Parallel(..)))
}

fn draw(svg: &mut Markup, panel: &Panel) {
    let area = area(panel);
    if let Some(title) = &panel.title {
        text(
            svg,
            "title",
            (area.left.min(20.0), 17.0),
            &shorten(&one_line(title), MAX_TITLE_CHARS),
        );
    }
    if let Some(flag) = &panel.flag {
        text(
            svg,
            "flag",
            (area.left.min(20.0), 34.0),
            &format!("⚠ {}", shorten(flag, MAX_TITLE_CHARS)),
        );
    }
    if !is_parallel(panel) {
        let has_surface = panel.layers.iter().any(|layer| matches!(layer, Layer::Surface(_)));
        axes(svg, panel, &area, !has_surface);
    }
    for layer in &panel.layers {
        draw_layer(svg, panel, &area, layer);
    }
}

fn draw_layer(svg: &mut Markup, panel: &Panel, area: &Area, layer: &Layer) {
    match layer {
        Layer::Points(kind, points) => draw_points(svg, panel, area, *kind, points),
        Layer::Density(cells) => draw_cells(svg, area, cells, &["d1", "d2", "d3", "d4", "d5"]),
        Layer::Surface(cells) => {
            draw_cells(svg, area, cells, &["s1", "s2", "s3", "s4", "s5", "s6", "s7"]);
        }
        Layer::Line(kind, points) => {
            let d = line(points.iter().filter_map(|(x, y)| area.point(panel, *x, *y)));
            let class = if *kind == Kind::Best { "line best" } else { "line" };
            path(svg, class, &d);
        }
        Layer::Curves(kind, curves) => {
            let d: String = curves
                .iter()
                .map(|(_, points)| {
                    line(points.iter().filter_map(|(x, y)| area.point(panel, *x, *y)))
                })
                .collect();
            path_of_trials(svg, curve_class(*kind), &d, curves.iter().map(|(trial, _)| *trial));
        }
        Layer::Bars(bars) => draw_bars(svg, panel, area, bars),
        Layer::Spans(kind, spans) => {
            let mut d = String::new();
            for (_, row, from, until) in spans {
                let y = area.y(panel.y.scale.place(*row).unwrap_or(0.0));
                let ends = [from, until].map(|at| area.x(panel.x.scale.place(*at).unwrap_or(1.0)));
                let length = coordinate((ends[1] - ends[0]).max(0.8));
                d.push_str(&format!("M{} {y:.0}h{length}", coordinate(ends[0])));
            }
            path_of_trials(svg, span_class(*kind), &d, spans.iter().map(|(trial, ..)| *trial));
        }
        Layer::Parallel(scales, lines) => draw_parallel(svg, panel, area, scales, lines),
    }
}

fn draw_points(svg: &mut Markup, panel: &Panel, area: &Area, kind: Kind, points: &[Point]) {
    let (mut d, mut trials) = (String::new(), Vec::new());
    for point in points {
        if let Some((x, y)) = area.point(panel, point.x, point.y) {
            // Half a pixel is not seen in a point, and there are thousands.
            d.push_str(&format!("M{x:.0} {y:.0}"));
            d.push_str(marker(kind));
            trials.push(point.trial);
        }
    }
    path_of_trials(svg, class(kind), &d, trials.into_iter());
}

/// Draws cells, those of one level that lie above each other as one.
fn draw_cells(svg: &mut Markup, area: &Area, cells: &[([f64; 4], u8)], classes: &[&'static str]) {
    for (level, class) in (1..).zip(classes) {
        let mut merged: Vec<[f64; 4]> = Vec::new();
        for ([left, bottom, right, top], _) in cells.iter().filter(|(_, found)| *found == level) {
            match merged.last_mut() {
                Some(last) if last[0] == *left && (last[3] - bottom).abs() < 1e-9 => last[3] = *top,
                _ => merged.push([*left, *bottom, *right, *top]),
            }
        }
        let mut d = String::new();
        for [left, bottom, right, top] in merged {
            let (x, y) = (area.x(left), area.y(top));
            let (width, height) = (coordinate(area.x(right) - x), coordinate(area.y(bottom) - y));
            d.push_str(&format!("M{} {}h{width}v{height}h-{width}z", coordinate(x), coordinate(y)));
        }
        path(svg, class, &d);
    }
}

fn draw_bars(svg: &mut Markup, panel: &Panel, area: &Area, bars: &[(f64, f64)]) {
    for (row, value) in bars {
        let (Some(x), Some(y)) = (panel.x.scale.place(*value), panel.y.scale.place(*row)) else {
            continue;
        };
        let (end, y) = (area.x(x), area.y(y));
        svg.open(
            "rect",
            &[
                ("class", "bar".into()),
                ("x", area.left.into()),
                ("y", (y - 5.5).into()),
                ("width", (end - area.left).max(0.5).into()),
                ("height", 11.0.into()),
            ],
        );
        svg.close("rect");
        // Beside the bar, or at its end within it.
        let class = if end + 44.0 > area.right() { "inside" } else { "label" };
        let x = if class == "inside" { end - 4.0 } else { end + 4.0 };
        text(svg, class, (x, y + 4.0), &short((value * 1000.0).round() / 1000.0));
    }
}

fn draw_parallel(
    svg: &mut Markup,
    panel: &Panel,
    area: &Area,
    scales: &[Scale],
    lines: &[(Kind, u32, Vec<Option<f64>>)],
) {
    let Scale::Names(names) = &panel.x.scale else { return };
    let step = area.width / (names.len().max(2) - 1) as f64;
    let x_of = |index: usize| area.left + step * index as f64;
    for same in lines.chunk_by(|a, b| a.0 == b.0) {
        let (mut d, mut trials) = (String::new(), Vec::new());
        for (_, trial, values) in same {
            let places =
                values.iter().zip(scales).enumerate().filter_map(|(index, (value, scale))| {
                    Some((x_of(index), area.y(scale.place((*value)?)?)))
                });
            d.push_str(&line(places));
            trials.push(*trial);
        }
        path_of_trials(svg, curve_class(same[0].0), &d, trials.into_iter());
    }
    for (index, (name, scale)) in names.iter().zip(scales).enumerate() {
        let x = x_of(index);
        svg.open(
            "path",
            &[
                ("class", "axis brush".into()),
                ("data-axis", (index as f64).into()),
                (
                    "d",
                    (&format!(
                        "M{} {}V{}",
                        coordinate(x),
                        coordinate(area.top),
                        coordinate(area.bottom())
                    ))
                        .into(),
                ),
            ],
        );
        svg.close("path");
        let fitting = (step / CHARACTER) as usize;
        text(svg, "middle name", (x, 18.0), &shorten(&one_line(name), fitting.clamp(6, 22)));
        let is_last = index + 1 == names.len();
        for (place, label) in scale.ticks(5) {
            let class = if is_last { "tick halo" } else { "end halo" };
            let x = if is_last { x + 6.0 } else { x - 6.0 };
            text(svg, class, (x, area.y(place) + 4.0), &shorten(&label, fitting.clamp(5, 14)));
        }
    }
}

/// Draws the lines, ticks and labels of both axes.
fn axes(svg: &mut Markup, panel: &Panel, area: &Area, has_grid: bool) {
    let mut grid = String::new();
    for (place, label) in panel.y.scale.ticks(y_ticks(&panel.y, area)) {
        let y = area.y(place);
        grid.push_str(&format!(
            "M{} {}H{}",
            coordinate(area.left),
            coordinate(y),
            coordinate(area.right())
        ));
        text(svg, "end", (area.left - 6.0, y + 4.0), &label);
    }
    let mut last_end = f64::NEG_INFINITY;
    let n_ticks = (area.width / 70.0) as usize;
    for (place, label) in panel.x.scale.ticks(n_ticks) {
        let (x, half) = (area.x(place), CHARACTER * label.chars().count() as f64 / 2.0);
        if !matches!(panel.x.scale, Scale::Names(_)) {
            grid.push_str(&format!(
                "M{} {}V{}",
                coordinate(x),
                coordinate(area.top),
                coordinate(area.bottom())
            ));
        }
        // Labels that would touch the one before are left out; the last is kept within the picture.
        let x = x.min(area.right() + 14.0 - half);
        if x - half > last_end + 6.0 {
            text(svg, "middle", (x, area.bottom() + 16.0), &label);
            last_end = x + half;
        }
    }
    if has_grid {
        path(svg, "grid", &grid);
    }
    let frame = format!(
        "M{} {}V{}H{}",
        coordinate(area.left),
        coordinate(area.top),
        coordinate(area.bottom()),
        coordinate(area.right())
    );
    path(svg, "axis", &frame);
    let middle = area.left + area.width / 2.0;
    if !panel.x.label.is_empty() {
        let label = shorten(&one_line(&panel.x.label), (area.width / CHARACTER) as usize);
        text(svg, "middle name", (middle, area.bottom() + 36.0), &label);
    }
    if !panel.y.label.is_empty() {
        let label = shorten(&one_line(&panel.y.label), (area.height / CHARACTER) as usize);
        let y = area.top + area.height / 2.0;
        let turn = format!("translate(14 {}) rotate(-90)", coordinate(y));
        svg.element(
            "text",
            &[("class", "middle name".into()), ("transform", (&turn).into())],
            &label,
        );
    }
}

/// Returns the number of ticks of the vertical axis: all rows that have names.
fn y_ticks(axis: &Axis, area: &Area) -> usize {
    match &axis.scale {
        Scale::Names(names) => names.len(),
        _ => (area.height / 36.0) as usize,
    }
}

fn text(svg: &mut Markup, class: &'static str, (x, y): (f64, f64), text: &str) {
    svg.element(
        "text",
        &[("class", class.into()), ("x", x.into()), ("y", y.into())],
        &one_line(text),
    );
}

fn path(svg: &mut Markup, class: &'static str, d: &String) {
    if !d.is_empty() {
        svg.open("path", &[("class", class.into()), ("d", d.into())]);
        svg.close("path");
    }
}

/// Adds a path in which each trial has a part.
fn path_of_trials(
    svg: &mut Markup,
    class: &'static str,
    d: &String,
    trials: impl Iterator<Item = u32>,
) {
    if !d.is_empty() {
        let trials = differences(trials);
        svg.open("path", &[("class", class.into()), ("data-t", (&trials).into()), ("d", d.into())]);
        svg.close("path");
    }
}

/// Returns numbers as their differences, which take two bytes each where nearly all are 1.
fn differences(trials: impl Iterator<Item = u32>) -> String {
    let mut last = 0;
    let mut text = String::new();
    for trial in trials {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&(i64::from(trial) - last).to_string());
        last = i64::from(trial);
    }
    text
}

/// Returns a line through places: `M` to the first, then straight lines.
fn line(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut d = String::new();
    for (x, y) in places {
        d.push(if d.is_empty() { 'M' } else { 'L' });
        d.push_str(&format!("{} {}", coordinate(x), coordinate(y)));
    }
    d
}

/// Returns the marker of a kind, from its middle. Shapes differ as well as colours.
fn marker(kind: Kind) -> &'static str {
    match kind {
        Kind::Complete => "h0",
        Kind::Infeasible => "m-3.5 0h7m-3.5-3.5v7",
        Kind::Pruned => "m0-3.5l3.5 3.5l-3.5 3.5l-3.5-3.5z",
        Kind::Failed => "m-2.5-2.5l5 5m0-5l-5 5",
        Kind::Running => "m-3-3h6v6h-6z",
        Kind::Best => "m0-7l1.9 4.4 4.8.4-3.6 3.1 1.1 4.7-4.2-2.5-4.2 2.5 1.1-4.7-3.6-3.1 4.8-.4z",
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Complete => "point complete",
        Kind::Infeasible => "point infeasible",
        Kind::Pruned => "point pruned",
        Kind::Failed => "point failed",
        Kind::Running => "point running",
        Kind::Best => "point best",
    }
}

fn curve_class(kind: Kind) -> &'static str {
    match kind {
        Kind::Complete => "curve complete",
        Kind::Infeasible => "curve infeasible",
        Kind::Pruned => "curve pruned",
        Kind::Failed => "curve failed",
        Kind::Running => "curve running",
        Kind::Best => "curve best",
    }
}

fn span_class(kind: Kind) -> &'static str {
    match kind {
        Kind::Complete => "span complete",
        Kind::Infeasible => "span infeasible",
        Kind::Pruned => "span pruned",
        Kind::Failed => "span failed",
        Kind::Running => "span running",
        Kind::Best => "span best",
    }
}
