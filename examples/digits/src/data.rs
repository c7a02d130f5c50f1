//! The handwritten digits: the file format, and the split into training and validation images.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The width and the height of an image.
const SIDE: usize = 8;
/// The number of pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// The number of classes: the digits 0 to 9.
pub const CLASSES: usize = 10;
/// The value of a black pixel in the file.
const BLACK: u8 = 16;

/// Images and their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Digits {
    /// Pixels from 0 to 1: n × [`PIXELS`], row-major.
    pub images: Vec<f32>,
    /// Digits from 0 to 9: n.
    pub labels: Vec<u8>,
}

/// An error while reading the digits.
#[derive(Debug)]
pub enum DataError {
    /// The file could not be read.
    Read { path: PathBuf, source: io::Error },
    /// A line, counted from 1, is not an image and its digit.
    Line { line: usize, message: String },
}

/// Reads the digits from the CSV file that `data/README.md` describes.
pub fn read(path: &Path) -> Result<Digits, DataError> {
    let text = fs::read_to_string(path)
        .map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    parse(&text)
}

/// Reads the digits from the text of the CSV file.
pub fn parse(text: &str) -> Result<Digits, DataError> {
    let mut digits = Digits::default();
    for (index, line) in text.lines().enumerate() {
        parse_line(line, &mut digits)
            .map_err(|message| DataError::Line { line: index + 1, message })?;
    }
    Ok(digits)
}

fn parse_line(line: &str, digits: &mut Digits) -> Result<(), String> {
    let values: Vec<&str> = line.split(',').collect();
    let Some((label, pixels)) = values.split_last().filter(|(_, rest)| rest.len() == PIXELS) else {
        return Err(format!("expected {PIXELS} pixels and a digit, found {} values", values.len()));
    };
    for (index, pixel) in pixels.iter().enumerate() {
        let pixel = parse_up_to(BLACK, pixel, || format!("pixel {}", index + 1))?;
        digits.images.push(f32::from(pixel) / f32::from(BLACK));
    }
    digits.labels.push(parse_up_to(9, label, || "digit".to_owned())?);
    Ok(())
}

fn parse_up_to(most: u8, text: &str, what: impl Fn() -> String) -> Result<u8, String> {
    match text.trim().parse() {
        Ok(value) if value <= most => Ok(value),
        _ => Err(format!("{}: expected an integer from 0 to {most}, found `{text}`", what())),
    }
}

impl Digits {
    /// Returns `(training, validation)`: every fifth image is for validation.
    ///
    /// The split is the same for every trial, so that luck makes no trial better than another.
    pub fn split(&self) -> (Digits, Digits) {
        let (mut training, mut validation) = (Digits::default(), Digits::default());
        for index in 0..self.labels.len() {
            let part = if index % 5 == 4 { &mut validation } else { &mut training };
            part.images.extend_from_slice(self.image(index));
            part.labels.push(self.labels[index]);
        }
        (training, validation)
    }

    /// Returns these images and copies that are shifted by a pixel to the left, right, top and bottom. A
    /// shifted digit is the same digit, which the network learns only from examples.
    pub fn with_shifts(&self) -> Digits {
        let mut shifted = self.clone();
        for (right, down) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
            for image in self.images.chunks_exact(PIXELS) {
                shifted.images.extend(shift(image, right, down));
            }
            shifted.labels.extend_from_slice(&self.labels);
        }
        shifted
    }

    /// Returns the images at `indices`, in their order.
    pub fn select(&self, indices: &[usize]) -> Digits {
        Digits {
            images: indices.iter().flat_map(|&index| self.image(index)).copied().collect(),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }

    fn image(&self, index: usize) -> &[f32] {
        &self.images[index * PIXELS..][..PIXELS]
    }
}

/// Shifts an image by whole pixels, with white pixels at the edge.
fn shift(image: &[f32], right: isize, down: isize) -> impl Iterator<Item = f32> {
    (0..PIXELS).map(move |index| {
        let column = (index % SIDE).checked_add_signed(-right).filter(|&column| column < SIDE);
        let row = (index / SIDE).checked_add_signed(-down).filter(|&row| row < SIDE);
        column.zip(row).map_or(0.0, |(column, row)| image[row * SIDE + column])
    })
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::Read { path, .. } => write!(
                f,
                "failed to read `{}`; \
                 the directory `data` of this example should be granted as `/data`",
                path.display()
            ),
            DataError::Line { line, message } => write!(f, "line {line} of the digits: {message}"),
        }
    }
}

impl Error for DataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            DataError::Read { source, .. } => Some(source),
            DataError::Line { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_1797_digits_of_which_a_fifth_is_set_aside() {
        let digits = read(Path::new(crate::DATA)).unwrap();
        assert_eq!((digits.labels.len(), digits.images.len()), (1797, 1797 * PIXELS));
        assert_eq!(digits.labels[..4], [0, 1, 2, 3]);
        let (training, validation) = digits.split();
        assert_eq!((training.labels.len(), validation.labels.len()), (1438, 359));
        assert_eq!(validation, digits.select(&(4..1797).step_by(5).collect::<Vec<_>>()));
    }

    #[test]
    fn a_bad_line_is_named_with_what_was_expected() {
        let good = line("16", "9");
        check(
            &format!("{good}\n{}\n", line("x", "9")),
            "line 2 of the digits: pixel 64: expected an integer from 0 to 16, found `x`",
        );
        check(
            &line("17", "9"),
            "line 1 of the digits: pixel 64: expected an integer from 0 to 16, found `17`",
        );
        check(&line("-1", "9"), "pixel 64: expected an integer from 0 to 16, found `-1`");
        check(&line("16", "10"), "digit: expected an integer from 0 to 9, found `10`");
        check("1,2,3", "line 1 of the digits: expected 64 pixels and a digit, found 3 values");
        check(
            &format!("{good}\n\n{good}"),
            "line 2 of the digits: expected 64 pixels and a digit, found 1 values",
        );
    }

    #[test]
    fn shifts_move_every_pixel_and_drop_those_at_the_edge() {
        let mut image = vec![0.0; PIXELS];
        image[0] = 0.5; // the corner at the top left
        image[SIDE + 3] = 1.0;
        let shifted = Digits { images: image, labels: vec![7] }.with_shifts();
        assert_eq!(shifted.labels, [7; 5]);
        let places: Vec<Vec<usize>> = shifted
            .images
            .chunks_exact(PIXELS)
            .map(|image| (0..PIXELS).filter(|&place| image[place] > 0.0).collect())
            .collect();
        let wanted: [&[usize]; 5] = [&[0, 11], &[10], &[1, 12], &[3], &[8, 19]];
        assert_eq!(places, wanted);
    }

    #[test]
    fn a_missing_file_is_named_with_what_it_should_be() {
        let message = read(Path::new("/no/digits.csv")).unwrap_err().to_string();
        assert!(message.contains("failed to read `/no/digits.csv`"), "{message}");
        assert!(message.contains("granted as `/data`"), "{message}");
    }

    fn line(last_pixel: &str, label: &str) -> String {
        format!("{}{last_pixel},{label}", "0,".repeat(PIXELS - 1))
    }

    #[track_caller]
    fn check(text: &str, wanted: &str) {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(wanted), "found `{message}`");
    }
}
