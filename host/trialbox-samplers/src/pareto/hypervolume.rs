//! The volume that a set of points dominates.

use super::{distinct, lexicographic};

/// Returns the volume between the points and `reference`, which no point exceeds in any column. Infinite when the
/// reference is, or when a point is at −∞; 0 without points.
///
/// Two objectives by a sweep, O(n·log n); three by sweeping the third, O(n²); more by the recursion of
/// While, Bradstreet and Barone 2012, "A fast way of calculating exact hypervolumes", exponential in the
/// number of objectives.
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    if points.is_empty() {
        return 0.0;
    }
    if !reference.iter().all(|value| value.is_finite()) {
        return f64::INFINITY;
    }
    let (order, _) = distinct(points);
    let sorted: Vec<&[f64]> = order.iter().map(|index| points[*index].as_slice()).collect();
    let volume = match reference.len() {
        2 => area(sorted, reference),
        3 => volume(sorted, reference),
        _ => recursive(&sorted, reference),
    };
    // ∞ − ∞ comes of points at −∞.
    if volume.is_finite() { volume } else { f64::INFINITY }
}

/// Returns the area of points in lexicographic order.
fn area(sorted: Vec<&[f64]>, reference: &[f64]) -> f64 {
    let (mut sum, mut height) = (0.0, reference[1]);
    for point in sorted {
        if point[1] < height {
            sum += (reference[0] - point[0]) * (height - point[1]);
            height = point[1];
        }
    }
    sum
}

/// Sums slices along the third column: between two values, the area of all points that reach below.
fn volume(mut points: Vec<&[f64]>, reference: &[f64]) -> f64 {
    points.sort_by(|a, b| lexicographic(&a[2..], &b[2..]));
    // The front of the first two columns, sorted by the first.
    let mut front: Vec<&[f64]> = Vec::new();
    let mut sum = 0.0;
    for (index, point) in points.iter().enumerate() {
        let place = front.partition_point(|other| lexicographic(&other[..2], &point[..2]).is_lt());
        let is_dominated = place > 0 && front[place - 1][1] <= point[1]
            || front.get(place).is_some_and(|next| next[0] <= point[0] && next[1] <= point[1]);
        if !is_dominated {
            let covered = front[place..].partition_point(|other| other[1] >= point[1]);
            front.splice(place..place + covered, [*point]);
        }
        let next = points.get(index + 1).map_or(reference[2], |next| next[2]);
        if next > point[2] {
            sum += area(front.clone(), reference) * (next - point[2]);
        }
    }
    sum
}

/// Returns the sum over the points of what each covers beyond those after it.
fn recursive(points: &[&[f64]], reference: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (index, point) in points.iter().enumerate() {
        let rest = &points[index + 1..];
        let inclusive: f64 =
            reference.iter().zip(*point).map(|(reference, value)| reference - value).product();
        let limited: Vec<Vec<f64>> = rest
            .iter()
            .map(|other| other.iter().zip(*point).map(|(a, b)| a.max(*b)).collect())
            .collect();
        let limited = without_dominated(&limited);
        sum += inclusive - if limited.is_empty() { 0.0 } else { recursive(&limited, reference) };
    }
    sum
}

/// Returns the points that no other one covers, one of each equal.
fn without_dominated(points: &[Vec<f64>]) -> Vec<&[f64]> {
    let (order, _) = distinct(points);
    let mut front: Vec<&[f64]> = Vec::new();
    for index in order {
        let point = points[index].as_slice();
        if !front.iter().any(|other| other.iter().zip(point).all(|(other, mine)| other <= mine)) {
            front.push(point);
        }
    }
    front
}
