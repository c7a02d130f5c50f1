//! The description of an objective, as far as it is known at compile time.

use crate::outcome::Outcome;
use crate::{Attr, Result, Stop};

/// The facts that `#[objective]` knows about the crate and the function.
#[derive(Debug)]
pub struct Metadata {
    /// The objective's name.
    pub name: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The authors in Cargo's form, separated by `:`; empty or absent for none.
    pub authors: Option<&'static str>,
    /// An SPDX expression; empty or absent for none.
    pub license: Option<&'static str>,
    /// A URL; empty or absent for none.
    pub repository: Option<&'static str>,
    /// The lines of the function's documentation.
    pub docs: &'static [&'static str],
    /// One metric for each value that the objective returns.
    pub metrics: &'static [Metric],
    /// The files and directories that the objective reads.
    pub data: &'static [DataSource],
}

/// One of the values that the objective returns.
#[derive(Debug)]
pub struct Metric {
    /// The name, which a single metric may lack.
    pub name: Option<&'static str>,
    /// The direction of better values.
    pub direction: Direction,
}

/// The direction of better values.
#[derive(Debug, Clone, Copy)]
pub enum Direction {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

/// A file or directory that the objective reads.
#[derive(Debug)]
pub struct DataSource {
    /// An absolute path in the guest.
    pub path: &'static str,
    /// Its content and its source.
    pub summary: &'static str,
    /// The file's checksum, if the objective depends on these bytes.
    pub sha256: Option<&'static str>,
}

/// Returns the only element, if there is one. A macro's optional argument becomes an `Option` this way.
pub const fn optional(texts: &[&'static str]) -> Option<&'static str> {
    match texts {
        [text, ..] => Some(text),
        [] => None,
    }
}

/// Returns the first element.
pub const fn first(texts: &[&'static str]) -> &'static str {
    texts[0]
}

impl Metadata {
    /// Rejects at compile time the descriptions that a host would reject.
    ///
    /// # Panics
    ///
    /// Panics in constant evaluation, which the compiler shows as an error with the message.
    pub const fn check<R: Outcome>(&self) {
        if let Some(values) = R::LEN {
            assert!(
                values == self.metrics.len(),
                "the objective must return as many values as `#[objective]` declares metrics"
            );
        }
        assert!(
            is_name(self.name),
            "an objective's name must be 1 to 128 of `a-z`, `A-Z`, `0-9`, `-`, `_`, `.`"
        );
        let mut index = 0;
        while index < self.data.len() {
            self.data[index].check();
            index += 1;
        }
    }

    /// Returns the values of `outcome`, after comparing their number with that of the metrics.
    pub fn checked_values(&self, outcome: impl Outcome) -> Result<Vec<f64>> {
        let values = outcome.into_outcome()?;
        let (found, wanted) = (values.len(), self.metrics.len());
        if found != wanted {
            // Only a `Vec` gets here: `check` compared the lengths of all other types.
            return Err(Stop::failed(format_args!(
                "the objective returned {found} values, but declares {wanted} metrics"
            )));
        }
        Ok(values)
    }

    /// Returns the first paragraph of the documentation in one line.
    pub fn summary(&self) -> String {
        let docs = self.docs.join("\n");
        let lines = docs.lines().map(str::trim);
        let paragraph: Vec<_> =
            lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect();
        paragraph.join(" ")
    }

    /// Returns the entries of `extra`: keys and JSON texts.
    pub fn extra(&self) -> Vec<(String, String)> {
        let sdk = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        let authors =
            given(self.authors).map(|authors| Attr::from(authors.split(':').collect::<Vec<_>>()));
        [
            ("sdk", Some(Attr::from(sdk))),
            ("authors", authors),
            ("license", given(self.license).map(Attr::from)),
            ("repository", given(self.repository).map(Attr::from)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_string())))
        .collect()
    }
}

impl DataSource {
    const fn check(&self) {
        assert!(
            matches!(self.path.as_bytes(), [b'/', _, ..]),
            "the path of `data` must be absolute, such as `/data/train.csv`"
        );
        if let Some(sha256) = self.sha256 {
            assert!(
                is_sha256(sha256),
                "`sha256` must be 64 hexadecimal digits in lower case, as `sha256sum` prints them"
            );
        }
    }
}

/// Returns a variable's text, if it has one: Cargo sets the variables of absent keys to the empty text.
fn given(variable: Option<&'static str>) -> Option<&'static str> {
    variable.filter(|text| !text.is_empty())
}

const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !(bytes[index].is_ascii_alphanumeric() || matches!(bytes[index], b'-' | b'_' | b'.')) {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty() && bytes.len() <= 128
}

const fn is_sha256(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !matches!(bytes[index], b'0'..=b'9' | b'a'..=b'f') {
            return false;
        }
        index += 1;
    }
    bytes.len() == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUADRATIC: Metadata = Metadata {
        name: "quadratic",
        version: "0.1.0",
        authors: Some("Ada <ada@example.org>:Charles"),
        license: Some("MIT"),
        repository: Some(""),
        docs: &["", " Minimises", " a sum.", "", " More on it."],
        metrics: &[Metric { name: None, direction: Direction::Minimize }],
        data: &[],
    };

    #[test]
    fn the_first_paragraph_is_the_summary() {
        assert_eq!(QUADRATIC.summary(), "Minimises a sum.");
        assert_eq!(
            Metadata { docs: &[" One.\n Two.\n\n Three."], ..QUADRATIC }.summary(),
            "One. Two."
        );
        assert_eq!(Metadata { docs: &[], ..QUADRATIC }.summary(), "");
    }

    #[test]
    fn extra_has_what_cargo_knows() {
        let sdk = format!("\"trialbox-guest {}\"", env!("CARGO_PKG_VERSION"));
        let expected = [
            ("sdk", sdk.as_str()),
            ("authors", r#"["Ada <ada@example.org>","Charles"]"#),
            ("license", "\"MIT\""),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(QUADRATIC.extra(), expected);
    }

    #[test]
    fn a_vec_may_have_any_number_of_metrics() {
        QUADRATIC.check::<Result<Vec<f64>>>();
        QUADRATIC.check::<Result<f64>>();
    }

    #[test]
    fn a_vec_of_another_length_fails_the_trial() {
        let stop = QUADRATIC.checked_values(Result::Ok(vec![1.0, 2.0])).unwrap_err();
        assert_eq!(stop.to_string(), "the objective returned 2 values, but declares 1 metrics");
    }

    #[test]
    fn an_error_of_another_type_becomes_a_failure() {
        let stop = QUADRATIC.checked_values("x".parse::<f64>()).unwrap_err();
        assert_eq!(stop, Stop::failed("invalid float literal"));
    }

    #[test]
    #[should_panic(expected = "as many values as")]
    fn two_values_for_one_metric_are_refused() {
        QUADRATIC.check::<Result<(f64, f64)>>();
    }

    #[test]
    #[should_panic(expected = "1 to 128 of")]
    fn a_name_with_a_space_is_refused() {
        Metadata { name: "my objective", ..QUADRATIC }.check::<Result<f64>>();
    }

    #[test]
    #[should_panic(expected = "must be absolute")]
    fn a_relative_path_is_refused() {
        let data = &[DataSource { path: "train.csv", summary: "", sha256: None }];
        Metadata { data, ..QUADRATIC }.check::<Result<f64>>();
    }

    #[test]
    fn a_checksum_is_64_lower_case_digits() {
        assert!(is_sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        assert!(!is_sha256("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"));
        assert!(!is_sha256("e3b0c44298fc1c14"));
    }
}
