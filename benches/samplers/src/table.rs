//! A function that is given by a table: looked up on some axes, interpolated on others.

use trialbox_core::Json;

/// Values on a grid, row-major: the last axis varies fastest.
pub(crate) struct Table {
    axes: Vec<Axis>,
    values: Vec<f64>,
}

struct Axis {
    name: String,
    kind: AxisKind,
    len: usize,
}

/// The way from a parameter to its place on an axis.
pub(crate) enum AxisKind {
    /// Between ascending grid points, linearly.
    Linear(Vec<f64>),
    /// Between ascending logarithms of grid points, linearly.
    Log(Vec<f64>),
    /// By its label.
    Choice(Vec<String>),
    /// By its index.
    Index,
}

impl Table {
    /// Reads the format of `data/README.md`.
    ///
    /// # Panics
    /// On anything else: the tables are part of the program.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let axes: Vec<Axis> =
            lines.by_ref().take_while(|line| *line != "data").map(Axis::parse).collect();
        let values: Vec<f64> = lines.map(number).collect();
        let size: usize = axes.iter().map(|axis| axis.len).product();
        assert_eq!(values.len(), size, "a table has one value for each point of its grid");
        Table { axes, values }
    }

    /// Returns the axes: name, kind, length.
    pub(crate) fn axes(&self) -> impl Iterator<Item = (&str, &AxisKind, usize)> {
        self.axes.iter().map(|axis| (axis.name.as_str(), &axis.kind, axis.len))
    }

    /// Returns the smallest value.
    pub(crate) fn minimum(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Returns the value where the axes' parameters are those that `param` gives; numbers beyond an axis's ends are
    /// taken for its ends.
    ///
    /// # Panics
    /// Panics if a parameter is missing or has no place on its axis.
    pub(crate) fn value<'a>(&self, param: impl Fn(&str) -> Option<&'a Json>) -> f64 {
        let mut corners = vec![(0, 1.0)];
        for axis in &self.axes {
            let places = param(&axis.name).and_then(|value| axis.places(value));
            let places = places.unwrap_or_else(|| panic!("no place on axis `{}`", axis.name));
            corners = corners
                .into_iter()
                .flat_map(|(offset, weight)| {
                    places
                        .iter()
                        .map(move |(index, part)| (offset * axis.len + index, weight * part))
                })
                .collect();
        }
        corners.into_iter().map(|(offset, weight)| self.values[offset] * weight).sum()
    }
}

impl Axis {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split(',').collect();
        let ["axis", name, kind, points @ ..] = &fields[..] else { panic!("no axis: {line}") };
        let kind = match *kind {
            "lin" => AxisKind::Linear(points.iter().map(|point| number(point)).collect()),
            "log" => AxisKind::Log(points.iter().map(|point| number(point).ln()).collect()),
            "cat" => AxisKind::Choice(points.iter().map(|point| (*point).to_owned()).collect()),
            "idx" => AxisKind::Index,
            other => panic!("no kind of axis: {other}"),
        };
        Axis { name: (*name).to_owned(), kind, len: points.len() }
    }

    /// Returns the grid points around a value, with their weights.
    fn places(&self, value: &Json) -> Option<Vec<(usize, f64)>> {
        match &self.kind {
            AxisKind::Choice(labels) => {
                let label = value.as_str()?;
                Some(vec![(labels.iter().position(|found| found == label)?, 1.0)])
            }
            AxisKind::Index => {
                let index = usize::try_from(value.as_i64()?).ok()?;
                (index < self.len).then(|| vec![(index, 1.0)])
            }
            AxisKind::Linear(points) => Some(between(points, value.as_f64()?)),
            AxisKind::Log(points) => Some(between(points, value.as_f64()?.ln())),
        }
    }
}

fn between(points: &[f64], x: f64) -> Vec<(usize, f64)> {
    let above = points.partition_point(|point| *point <= x);
    if above == 0 || above == points.len() {
        return vec![(above.saturating_sub(1), 1.0)];
    }
    let (low, high) = (points[above - 1], points[above]);
    let weight = (x - low) / (high - low);
    vec![(above - 1, 1.0 - weight), (above, weight)]
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "axis,k,lin,1.0,3.0\naxis,kind,cat,a,b\ndata\n0\n10\n4\n30\n";

    #[test]
    fn a_value_is_interpolated_on_one_axis_and_looked_up_on_the_other() {
        let table = Table::parse(TABLE);
        let check = |k: f64, kind: &str, want: f64| {
            let (k, kind) = (Json::from(k), Json::from(kind));
            assert_eq!(table.value(|axis| Some(if axis == "k" { &k } else { &kind })), want);
        };
        check(1.0, "a", 0.0);
        check(2.0, "a", 2.0);
        check(2.5, "b", 25.0);
        check(-9.0, "b", 10.0);
        check(9.0, "b", 30.0);
        assert_eq!(table.minimum(), 0.0);
    }
}
