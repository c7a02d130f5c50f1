//! The regret over the trials as a picture: a panel for each problem, a line and a band for each sampler.

use crate::compared::{Compared, Traces, short};
use crate::stats::quantile;
use std::fmt::Write as _;

const COLUMNS: usize = 4;
const PANEL: (f64, f64) = (250.0, 170.0);
/// Room for the numbers at the axes, and for titles: left, top, right, bottom.
const MARGIN: (f64, f64, f64, f64) = (48.0, 24.0, 12.0, 26.0);
const LEGEND_HEIGHT: f64 = 30.0;
/// Distinguishable by the colour-blind too (Okabe and Ito 2008, "Color Universal Design").
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Returns a picture in SVG: medians as lines, quartiles as bands, regret on a log scale.
pub(crate) fn draw(samplers: &[String], compared: &[Compared], n_trials: usize) -> String {
    let outer = (PANEL.0 + MARGIN.0 + MARGIN.2, PANEL.1 + MARGIN.1 + MARGIN.3);
    let rows = compared.len().div_ceil(COLUMNS);
    let (width, height) =
        (outer.0 * COLUMNS.min(compared.len()) as f64, outer.1 * rows as f64 + LEGEND_HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, sampler) in samplers.iter().enumerate() {
        let x = MARGIN.0 + 160.0 * index as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{x} 16h24\" stroke=\"{}\" stroke-width=\"2\"/><text x=\"{}\" y=\"20\">{sampler}</text>",
            colour(index),
            x + 30.0
        );
    }
    for (index, compared) in compared.iter().enumerate() {
        let left = outer.0 * (index % COLUMNS) as f64 + MARGIN.0;
        let top = outer.1 * (index / COLUMNS) as f64 + MARGIN.1 + LEGEND_HEIGHT;
        let _ = writeln!(svg, "<g transform=\"translate({left} {top})\">");
        draw_panel(&mut svg, compared, n_trials);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

fn draw_panel(svg: &mut String, compared: &Compared, n_trials: usize) {
    let bands: Vec<Band> =
        compared.traces.iter().map(|traces| Band::new(traces, n_trials)).collect();
    let axis = LogAxis::around(&bands);
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"-8\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>",
        0.5 * PANEL.0,
        compared.problem.name
    );
    for tick in axis.ticks() {
        let y = axis.y(tick);
        let _ = writeln!(
            svg,
            "<path d=\"M0 {y:.1}h{}\" stroke=\"#ddd\"/><text x=\"-5\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            PANEL.0,
            y + 4.0,
            short(tick)
        );
    }
    for n in [0, n_trials / 3, 2 * n_trials / 3, n_trials] {
        let x = x(n, n_trials);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{n}</text>",
            PANEL.1 + 15.0
        );
    }
    for (index, band) in bands.iter().enumerate() {
        let colour = colour(index);
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"{colour}\" fill-opacity=\"0.15\"/>",
            band.area(&axis)
        );
        let line = steps(&band.median, &axis);
        let _ = writeln!(
            svg,
            "<path d=\"M{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        );
    }
    let _ = writeln!(
        svg,
        "<rect width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888\"/>",
        PANEL.0, PANEL.1
    );
}

/// Quartiles of the regret after each trial.
struct Band {
    lower: Vec<f64>,
    median: Vec<f64>,
    upper: Vec<f64>,
}

impl Band {
    fn new(traces: &Traces, n_trials: usize) -> Self {
        let along = |q: f64| {
            let after = |n: usize| traces.iter().map(|trace| trace[n]).collect::<Vec<f64>>();
            (0..n_trials).map(|n| quantile(&after(n), q)).collect()
        };
        Band { lower: along(0.25), median: along(0.5), upper: along(0.75) }
    }

    /// Returns the outline: the upper quartile forth, the lower one back.
    fn area(&self, axis: &LogAxis) -> String {
        let back: Vec<String> =
            steps(&self.lower, axis).split('L').rev().map(str::to_owned).collect();
        format!("M{}L{}Z", steps(&self.upper, axis), back.join("L"))
    }
}

/// Returns a regret's path from trial to trial, without its first move; points on a level line are left out.
fn steps(values: &[f64], axis: &LogAxis) -> String {
    let mut points: Vec<(usize, f64)> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let (n, y) = (index + 1, axis.y(*value));
        let level = |(_, found): &(usize, f64)| (found - y).abs() < 0.05;
        if let [.., before, last] = &points[..]
            && level(before)
            && level(last)
        {
            points.pop();
        }
        points.push((n, y));
    }
    let texts: Vec<String> =
        points.iter().map(|(n, y)| format!("{:.1} {y:.1}", x(*n, values.len()))).collect();
    texts.join("L")
}

fn x(n: usize, n_trials: usize) -> f64 {
    PANEL.0 * n as f64 / n_trials as f64
}

/// The vertical axis: regrets between two bounds, on a log scale, large ones on top.
struct LogAxis {
    low: f64,
    high: f64,
}

impl LogAxis {
    /// Returns the range from the smallest quartile above zero to the largest one after the first few trials.
    fn around(bands: &[Band]) -> Self {
        const FIRST_SHOWN: usize = 3;
        let all = bands.iter().flat_map(|band| [&band.lower, &band.median, &band.upper]);
        let shown = all.flat_map(|values| values.iter().skip(FIRST_SHOWN));
        let positive = shown.copied().filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = positive
            .fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
        if low < high {
            LogAxis { low: low / 1.2, high: high * 1.2 }
        } else {
            LogAxis { low: 0.1, high: 10.0 }
        }
    }

    /// Returns the distance down from the panel's top; values outside of the bounds are at the edge.
    fn y(&self, value: f64) -> f64 {
        let place = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        PANEL.1 * (1.0 - place.min(1.0))
    }

    /// Powers of ten; if those are fewer than two, also twice and five times such.
    fn ticks(&self) -> Vec<f64> {
        let from = self.low.log10().floor() as i32;
        let to = self.high.log10().ceil() as i32;
        let among = |factors: &[f64]| -> Vec<f64> {
            let all = (from..=to)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
        };
        let powers = among(&[1.0]);
        if powers.len() >= 2 { thin_out(powers) } else { among(&[1.0, 2.0, 5.0]) }
    }
}

/// Thins them out evenly to at most six.
fn thin_out(ticks: Vec<f64>) -> Vec<f64> {
    let every = ticks.len().div_ceil(6);
    ticks.into_iter().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_logarithmic_and_holds_what_lies_outside() {
        let axis = LogAxis { low: 0.01, high: 100.0 };
        let found = [100.0, 1.0, 0.01, 0.0, f64::INFINITY].map(|value| axis.y(value).round());
        assert_eq!(found, [0.0, 85.0, 170.0, 170.0, 0.0]);
        assert_eq!(axis.ticks().len(), 5);
        assert_eq!(LogAxis { low: 0.15, high: 0.9 }.ticks(), [0.2, 0.5]);
    }

    #[test]
    fn a_level_line_needs_two_points() {
        let axis = LogAxis { low: 0.1, high: 10.0 };
        assert_eq!(steps(&[1.0, 1.0, 1.0, 1.0, 0.1], &axis), "50.0 85.0L200.0 85.0L250.0 170.0");
    }
}
