//! A study to look at: figures with their data, sentences that answer the first questions, and one HTML page with all
//! of it.
//!
//! The crate performs no I/O and reads no clock: a history and its study go in ([`Subject`]), figures ([`Figure`]),
//! answers ([`answers()`]) and a page ([`page()`]) come out. A figure is a value. It renders itself as SVG, as text for
//! a terminal and as CSV.
//!
//! All text of a study is foreign: names, attributes and messages come from objectives and from other programs.
//! [`Markup`] is the only way into a page, and takes foreign text only through its escaping functions.
#![forbid(unsafe_code)]

mod answers;
mod compare;
mod csv;
mod figure;
mod figures;
mod kind;
mod label;
mod markup;
mod number;
mod page;
mod params;
mod scale;
mod screen;
mod subject;
mod svg;
mod terminal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trials;

pub use answers::{Answer, answers};
pub use compare::{Compared, RankTest, compare};
pub use csv::csv_line;
pub use figure::{Cell, Figure, FigureKind, Table};
pub use figures::{figure, figures};
pub use markup::Markup;
pub use page::{MARK, page};
pub use screen::{Line, Looked, Order, Style, n_listed, screen};
pub use subject::{Ordered, Subject};
