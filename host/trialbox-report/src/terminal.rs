//! Figures as text for a terminal.

use crate::figure::{Figure, Layer, Panel};
use crate::kind::Kind;
use crate::number::short;
use crate::scale::Scale;
use trialbox_core::value::text::{one_line, shorten};

/// The lines of a plot.
const HEIGHT: usize = 16;

/// The longest name beside a bar or a row, in columns.
const MAX_NAME: usize = 24;

impl Figure {
    /// Returns the figure as lines of at most `width` columns, at least 40.
    pub fn to_text(&self, width: usize) -> String {
        let width = width.max(40);
        let mut text =
            format!("{}\n{}\n", self.kind.title(), wrapped(&one_line(&self.caption), width));
        for panel in &self.panels {
            text.push('\n');
            if let Some(title) = &panel.title {
                let flag =
                    panel.flag.as_ref().map(|flag| format!("  ! {flag}")).unwrap_or_default();
                text.push_str(&format!(
                    "{}\n",
                    shorten(&one_line(&format!("{title}{flag}")), width - 1)
                ));
            }
            text.push_str(&plot(panel, width));
        }
        let kinds = self.kinds();
        if kinds.len() > 1 {
            let marks = kinds.iter().map(|kind| format!("{} {}", mark(*kind), kind.as_str()));
            text.push_str(&format!("\n{}\n", marks.collect::<Vec<_>>().join("   ")));
        }
        text
    }
}

fn plot(panel: &Panel, width: usize) -> String {
    let rows = panel.layers.iter().find_map(|layer| match layer {
        Layer::Bars(bars) => Some(bars_text(panel, bars, width)),
        Layer::Parallel(scales, lines) => Some(parallel_text(panel, scales, lines, width)),
        _ => None,
    });
    rows.unwrap_or_else(|| Canvas::of(panel, width).to_text(panel))
}

fn bars_text(panel: &Panel, bars: &[(f64, f64)], width: usize) -> String {
    let Scale::Names(names) = &panel.y.scale else { return String::new() };
    let longest = names.iter().map(|name| name.chars().count().min(MAX_NAME)).max().unwrap_or(0);
    let room = width.saturating_sub(longest + 10) as f64;
    let most = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let mut text = String::new();
    for (row, value) in bars.iter().rev() {
        let name = names.get(*row as usize).map(|name| shorten(&one_line(name), MAX_NAME - 1));
        let bar = "█".repeat((value / most * room).round() as usize);
        text.push_str(&format!(
            "{:longest$}  {bar} {}\n",
            name.unwrap_or_default(),
            short((value * 1e3).round() / 1e3)
        ));
    }
    text
}

/// Returns the lines of parallel coordinates as a table: axes are columns, and the best trials rows.
fn parallel_text(
    panel: &Panel,
    scales: &[Scale],
    lines: &[(Kind, u32, Vec<Option<f64>>)],
    width: usize,
) -> String {
    let Scale::Names(names) = &panel.x.scale else { return String::new() };
    let column = (width / (names.len() + 1)).clamp(9, 14);
    let n_columns = width / column - 1;
    let cell = |text: &str| format!("{:<column$}", shorten(&one_line(text), column - 3));
    let mut text = cell("trial");
    names.iter().take(n_columns).for_each(|name| text.push_str(&cell(name)));
    for (_, trial, values) in lines.iter().rev().take(HEIGHT) {
        text = format!("{}\n{}", text.trim_end(), cell(&trial.to_string()));
        for (value, scale) in values.iter().zip(scales).take(n_columns) {
            let shown = match (value, scale) {
                (Some(value), Scale::Names(choices)) => choices.get(*value as usize).cloned(),
                (Some(value), _) => Some(short(*value)),
                (None, _) => None,
            };
            text.push_str(&cell(&shown.unwrap_or_default()));
        }
    }
    format!("{}\n", text.trim_end())
}

/// A plot as characters.
struct Canvas {
    cells: Vec<Vec<char>>,
}

impl Canvas {
    fn of(panel: &Panel, width: usize) -> Self {
        let height = match &panel.y.scale {
            Scale::Names(names) => names.len().max(1),
            _ => HEIGHT,
        };
        let n_columns = width - label_width(panel) - 2;
        let mut canvas = Canvas { cells: vec![vec![' '; n_columns]; height] };
        for layer in &panel.layers {
            canvas.draw(panel, layer);
        }
        canvas
    }

    fn draw(&mut self, panel: &Panel, layer: &Layer) {
        match layer {
            Layer::Points(kind, points) => {
                points.iter().for_each(|point| self.set(panel, (point.x, point.y), mark(*kind)));
            }
            Layer::Line(_, points) => self.line(panel, points, '─'),
            Layer::Curves(kind, curves) => {
                for (_, points) in curves {
                    points.iter().for_each(|(x, y)| self.set(panel, (*x, *y), mark(*kind)));
                }
            }
            Layer::Spans(kind, spans) => {
                for (_, row, from, until) in spans {
                    self.span(panel, *row, (*from, *until), mark(*kind));
                }
            }
            Layer::Density(cells) => self.fill(cells, &['·', ':', '+', '#', '@']),
            Layer::Surface(cells) => self.fill(cells, &['▓', '▒', '▒', '░', '░', ' ', ' ']),
            Layer::Bars(_) | Layer::Parallel(..) => {}
        }
    }

    fn cell(&self, x: f64, y: f64) -> (usize, usize) {
        let (n_columns, n_rows) = (self.cells[0].len() as f64, self.cells.len() as f64);
        let column = (x * n_columns).min(n_columns - 1.0);
        ((((1.0 - y) * n_rows).min(n_rows - 1.0)) as usize, column as usize)
    }

    fn set(&mut self, panel: &Panel, (x, y): (f64, f64), mark: char) {
        if let (Some(x), Some(y)) = (panel.x.scale.place(x), panel.y.scale.place(y)) {
            let (row, column) = self.cell(x, y);
            // The best stays visible among others.
            if self.cells[row][column] != '*' {
                self.cells[row][column] = mark;
            }
        }
    }

    fn span(&mut self, panel: &Panel, row: f64, (from, until): (f64, f64), mark: char) {
        let ends = (panel.x.scale.place(from), panel.x.scale.place(until));
        if let (Some(from), Some(until), Some(row)) = (ends.0, ends.1, panel.y.scale.place(row)) {
            let ((row, first), (_, last)) = (self.cell(from, row), self.cell(until, row));
            self.cells[row][first..=last].fill(mark);
        }
    }

    /// Draws a line behind the points: only where nothing stands yet.
    fn line(&mut self, panel: &Panel, points: &[(f64, f64)], mark: char) {
        for pair in points.windows(2) {
            let places =
                |(x, y): (f64, f64)| Some((panel.x.scale.place(x)?, panel.y.scale.place(y)?));
            let (Some(from), Some(to)) = (places(pair[0]), places(pair[1])) else { continue };
            let n_steps = 2 * self.cells[0].len();
            for step in 0..=n_steps {
                let share = step as f64 / n_steps as f64;
                let (x, y) = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
                let (row, column) = self.cell(x, y);
                let cell = &mut self.cells[row][column];
                if *cell == ' ' {
                    *cell = if from.0 == to.0 { '│' } else { mark };
                }
            }
        }
    }

    fn fill(&mut self, cells: &[([f64; 4], u8)], marks: &[char]) {
        let (n_rows, n_columns) = (self.cells.len(), self.cells[0].len());
        for ([left, bottom, right, top], level) in cells {
            let mark = marks[usize::from(level.saturating_sub(1)).min(marks.len() - 1)];
            let columns =
                (left * n_columns as f64) as usize..(right * n_columns as f64).ceil() as usize;
            let rows = ((1.0 - top) * n_rows as f64) as usize
                ..((1.0 - bottom) * n_rows as f64).ceil() as usize;
            for row in rows.start..rows.end.min(n_rows) {
                self.cells[row][columns.start.min(n_columns)..columns.end.min(n_columns)]
                    .fill(mark);
            }
        }
    }

    fn to_text(&self, panel: &Panel) -> String {
        let margin = label_width(panel);
        let mut labels = vec![String::new(); self.cells.len()];
        for (place, label) in panel.y.scale.ticks(label_count(panel)) {
            let (row, _) = self.cell(0.0, place);
            labels[row] = shorten(&one_line(&label), MAX_NAME - 1);
        }
        let mut text = String::new();
        if !panel.y.label.is_empty() {
            text.push_str(&format!("{}\n", shorten(&one_line(&panel.y.label), 60)));
        }
        for (label, row) in labels.iter().zip(&self.cells) {
            let row: String = row.iter().collect();
            text.push_str(format!("{label:>margin$} │{row}").trim_end());
            text.push('\n');
        }
        let n_columns = self.cells[0].len();
        text.push_str(&format!("{:margin$} └{}\n", "", "─".repeat(n_columns)));
        let mut line = vec![' '; n_columns];
        let mut free = 0;
        for (place, label) in panel.x.scale.ticks(n_columns / 14) {
            let label: Vec<char> = one_line(&label).chars().collect();
            let (_, column) = self.cell(place, 0.0);
            let start =
                column.saturating_sub(label.len() / 2).min(n_columns.saturating_sub(label.len()));
            if start >= free && label.len() <= n_columns {
                line[start..start + label.len()].copy_from_slice(&label);
                free = start + label.len() + 1;
            }
        }
        let line: String = line.iter().collect();
        let name = match panel.x.label.is_empty() {
            true => String::new(),
            false => format!("{:margin$}  {}\n", "", shorten(&one_line(&panel.x.label), n_columns)),
        };
        text.push_str(&format!("{}\n{name}", format!("{:margin$}  {line}", "").trim_end()));
        text
    }
}

fn label_count(panel: &Panel) -> usize {
    match &panel.y.scale {
        Scale::Names(names) => names.len(),
        _ => 4,
    }
}

fn label_width(panel: &Panel) -> usize {
    let ticks = panel.y.scale.ticks(label_count(panel));
    ticks.iter().map(|(_, label)| one_line(label).chars().count().min(MAX_NAME)).max().unwrap_or(1)
}

fn mark(kind: Kind) -> char {
    match kind {
        Kind::Complete => 'o',
        Kind::Infeasible => '+',
        Kind::Pruned => '^',
        Kind::Failed => 'x',
        Kind::Running => '=',
        Kind::Best => '*',
    }
}

/// Breaks a text between words.
fn wrapped(text: &str, width: usize) -> String {
    let (mut lines, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines
}
