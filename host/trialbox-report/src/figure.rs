//! A figure: its data, its caption and its plots. It is a value, and [`crate::svg`], [`crate::terminal`] and
//! [`Table::to_csv`] are ways to show it.

use crate::csv::csv_line;
use crate::kind::Kind;
use crate::number::short;
use crate::scale::Scale;
use trialbox_core::value::json::python_repr;

/// The figures that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FigureKind {
    /// Values by trial, with the best so far.
    History,
    /// The importance of each parameter.
    Importances,
    /// Values against each parameter.
    Slices,
    /// All parameters and the value of each trial as a line.
    Parallel,
    /// The value over the two most important parameters.
    Contour,
    /// The Pareto front of several objectives.
    Pareto,
    /// Reported values by step.
    Curves,
    /// Trials by time, in a row for each worker.
    Timeline,
    /// The share of trials that are at least as good as a value.
    Edf,
    /// Time and memory against the value.
    Usage,
}

impl FigureKind {
    /// All figures, in the order of a page.
    pub const ALL: [FigureKind; 10] = [
        FigureKind::History,
        FigureKind::Pareto,
        FigureKind::Importances,
        FigureKind::Contour,
        FigureKind::Slices,
        FigureKind::Parallel,
        FigureKind::Curves,
        FigureKind::Timeline,
        FigureKind::Edf,
        FigureKind::Usage,
    ];

    /// Returns the word on the command line, in data and in addresses within the page.
    pub fn as_str(self) -> &'static str {
        match self {
            FigureKind::History => "history",
            FigureKind::Importances => "importances",
            FigureKind::Slices => "slices",
            FigureKind::Parallel => "parallel",
            FigureKind::Contour => "contour",
            FigureKind::Pareto => "pareto",
            FigureKind::Curves => "curves",
            FigureKind::Timeline => "timeline",
            FigureKind::Edf => "edf",
            FigureKind::Usage => "usage",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Returns the heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            FigureKind::History => "History",
            FigureKind::Importances => "Importance of the parameters",
            FigureKind::Slices => "Values by parameter",
            FigureKind::Parallel => "Parallel coordinates",
            FigureKind::Contour => "The two most important parameters",
            FigureKind::Pareto => "Pareto front",
            FigureKind::Curves => "Learning curves",
            FigureKind::Timeline => "Timeline",
            FigureKind::Edf => "Distribution of the values",
            FigureKind::Usage => "Time and memory",
        }
    }
}

/// A figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Its kind.
    pub kind: FigureKind,
    /// A sentence or two that its data says.
    pub caption: String,
    /// Its data: all of it, also where the plot shows a part.
    pub data: Table,
    /// The plots.
    pub(crate) panels: Vec<Panel>,
}

/// A table of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each as long as the columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    None,
    /// A count or a trial's number.
    Count(u64),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

impl Cell {
    /// Formats the cell for people.
    pub(crate) fn show(&self) -> String {
        match self {
            Cell::None => String::new(),
            Cell::Count(count) => count.to_string(),
            Cell::Number(value) => short(*value),
            Cell::Text(text) => text.clone(),
        }
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Cell::None, Cell::Number)
    }
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Table { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Returns the data as CSV (RFC 4180): numbers in full, so that they are read back as they were.
    pub fn to_csv(&self) -> String {
        let mut csv = csv_line(&self.columns);
        for row in &self.rows {
            csv.push_str(&csv_line(row.iter().map(|cell| match cell {
                Cell::None => String::new(),
                Cell::Count(count) => count.to_string(),
                Cell::Number(value) => python_repr(*value),
                Cell::Text(text) => text.clone(),
            })));
        }
        csv
    }
}

/// One plot of a figure.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// The heading, where a figure has several plots.
    pub(crate) title: Option<String>,
    /// A remark that must not be missed, such as an optimum at the end of a range.
    pub(crate) flag: Option<String>,
    pub(crate) is_wide: bool,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// From back to front.
    pub(crate) layers: Vec<Layer>,
}

/// An axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
}

/// A trial at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) trial: u32,
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// A part of a plot.
#[derive(Debug, Clone)]
pub(crate) enum Layer {
    /// Points of one kind.
    Points(Kind, Vec<Point>),
    /// The number of trials in cells of a grid, where there are too many to be seen one by one: as the places of the
    /// cell's corners, and a level from 1 to 5.
    Density(Vec<([f64; 4], u8)>),
    /// A surface: as [`Layer::Density`], with levels from 1 (best) to 7.
    Surface(Vec<([f64; 4], u8)>),
    /// A line through points.
    Line(Kind, Vec<(f64, f64)>),
    /// A line for each trial.
    Curves(Kind, Vec<(u32, Vec<(f64, f64)>)>),
    /// Horizontal bars: row and value.
    Bars(Vec<(f64, f64)>),
    /// Horizontal bars of one kind: trial, row, start and end.
    Spans(Kind, Vec<(u32, f64, f64, f64)>),
    /// Vertical axes of their own, in place of `y`; the x axis has their names. Lines have a place for each axis.
    Parallel(Vec<Scale>, Vec<(Kind, u32, Vec<Option<f64>>)>),
}

impl Panel {
    pub(crate) fn new(x: Axis, y: Axis, layers: Vec<Layer>) -> Self {
        Panel { title: None, flag: None, is_wide: false, x, y, layers }
    }

    pub(crate) fn wide(self) -> Self {
        Panel { is_wide: true, ..self }
    }

    pub(crate) fn titled(self, title: impl Into<String>) -> Self {
        Panel { title: Some(title.into()), ..self }
    }

    /// Returns the kinds of trials that it shows, in the order of a legend.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let is_shown = |kind: &Kind| {
            self.layers.iter().any(|layer| match layer {
                Layer::Points(found, points) => found == kind && !points.is_empty(),
                Layer::Curves(found, curves) => found == kind && !curves.is_empty(),
                Layer::Spans(found, spans) => found == kind && !spans.is_empty(),
                Layer::Parallel(_, lines) => lines.iter().any(|(found, ..)| found == kind),
                _ => false,
            })
        };
        Kind::ALL.into_iter().filter(is_shown).collect()
    }
}

impl Axis {
    pub(crate) fn new(label: impl Into<String>, scale: Scale) -> Self {
        Axis { label: label.into(), scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_would_break_a_row() {
        let mut table = Table::new(&["a,b", "c"]);
        table.rows.push(vec![Cell::Text("x\"y\nz".to_owned()), Cell::Number(f64::NAN)]);
        table.rows.push(vec![Cell::None, Cell::Number(0.1)]);
        assert_eq!(table.to_csv(), "\"a,b\",c\r\n\"x\"\"y\nz\",nan\r\n,0.1\r\n");
    }

    #[test]
    fn a_figure_is_found_by_its_word() {
        for kind in FigureKind::ALL {
            assert_eq!(FigureKind::parse(kind.as_str()), Some(kind));
        }
    }
}
