//! The page and the figures, of studies of every kind.

use crate::figure::FigureKind;
use crate::figures::{figure, figures};
use crate::page::{MARK, page};
use crate::testing::{searched, study, trial, with_choice, with_subject, with_unit};
use trialbox_core::study::record::METRIC_NAMES;
use trialbox_core::{FrozenTrial, Json, StudyDirection, StudyRecord, TrialState};

const MINIMIZE: [StudyDirection; 1] = [StudyDirection::Minimize];
const TWO: [StudyDirection; 2] = [StudyDirection::Minimize, StudyDirection::Maximize];

fn page_of(study: &StudyRecord, trials: Vec<FrozenTrial>) -> String {
    with_subject(study, trials, |subject| page(subject).into_string())
}

/// Text that breaks out of everything that does not escape it, with a mark by which it is found.
fn hostile(mark: &str) -> String {
    format!(
        "{mark}</script></style></title><img src=x onerror=alert(1)>\" onload='x' \u{202e}\u{1b}[31m\0]]>-->&lt;"
    )
}

/// Returns a study in which every text is hostile, and one is a mebibyte long.
fn hostile_study() -> (StudyRecord, Vec<FrozenTrial>) {
    let mut study = study(&hostile("study"), &TWO);
    let names = [hostile("metric"), "b".repeat(1 << 20)].map(Json::from);
    study.system_attrs.insert(METRIC_NAMES.to_owned(), Json::Array(names.to_vec()));
    study.user_attrs.insert(hostile("attr"), hostile("value").into());
    let long = "x".repeat(1 << 20);
    let choices = [hostile("choice"), long.clone()];
    let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
    let trials = (0..30).map(|number| {
        let value = f64::from(number);
        let mut found = trial(number, &[value, -value]);
        found = with_unit(found, &hostile("param"), value / 30.0);
        found = with_choice(found, &long[..512], &choices, number as usize % 2);
        found.user_attrs.insert(
            hostile("key"),
            Json::Array(vec![hostile("text").into(), long.as_str().into()]),
        );
        found.intermediate_values.insert(0, f64::NAN);
        let owner = Json::object([("host", Json::from(hostile("host")))]);
        found.system_attrs.insert("trialbox:owner".to_owned(), owner);
        if number % 3 == 1 {
            found.state = TrialState::Fail;
            found.values.clear();
            let failure = [
                ("code", Json::from(hostile("code"))),
                ("message", long.as_str().into()),
                ("log", Json::Array(vec![hostile("log").into()])),
            ];
            found.system_attrs.insert("trialbox:failure".to_owned(), Json::object(failure));
        }
        found
    });
    (study, trials.collect())
}

#[test]
fn hostile_text_leaves_no_trace_of_markup_in_page_and_figures() {
    let (study, trials) = hostile_study();
    let page = page_of(&study, trials.clone());
    assert_inert(&page);
    assert_eq!(page.matches("</script>").count(), 2, "the records and the script end once each");
    for mark in ["study", "metric", "param", "choice", "text", "code", "log", "host"] {
        assert!(
            page.contains(&format!("{mark}&lt;/script"))
                || page.contains(&format!("{mark}\\u003c/script")),
            "{mark}"
        );
    }
    assert!(page.len() < 300_000, "{} bytes", page.len());
    with_subject(&study, trials, |subject| {
        for figure in figures(subject).0 {
            let svg = figure.to_svg();
            assert_inert(&svg);
            assert!(svg.len() < 100_000, "{:?}: {} bytes", figure.kind, svg.len());
            let text = figure.to_text(80);
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']), "{text}");
        }
    });
}

fn assert_inert(markup: &str) {
    for piece in ["<img", "<!--x", "\u{202e}", "\u{1b}", "\0"] {
        assert!(!markup.contains(piece), "{piece:?}");
    }
}

#[test]
fn a_page_requests_nothing_and_says_so_to_the_browser() {
    let page = page_of(&study("digits", &MINIMIZE), searched(60, 3));
    assert!(page.starts_with(&format!("<!doctype html>\n{MARK}\n")));
    let policy =
        "Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;sha256-";
    assert!(page.contains(policy), "the policy");
    for attribute in [" src=", "url(", "@import", "http://", "https://", " style="] {
        assert!(!page.contains(attribute), "{attribute}");
    }
    let links = page.match_indices("href=\"").map(|(at, found)| &page[at + found.len()..]);
    assert!(links.into_iter().all(|link| link.starts_with('#')));
}

#[test]
fn pages_are_small() {
    for (n_trials, n_params, limit) in [(1000, 8, 300_000), (50_000, 8, 2_000_000)] {
        let page = page_of(&study("digits", &MINIMIZE), searched(n_trials, n_params));
        assert!(page.len() <= limit, "{n_trials} trials: {} bytes", page.len());
    }
}

#[test]
fn every_figure_is_drawn_or_says_why_it_is_not() {
    let cases: [(&[StudyDirection], Vec<FrozenTrial>); 5] = [
        (&MINIMIZE, vec![]),
        (
            &MINIMIZE,
            vec![FrozenTrial {
                state: TrialState::Running,
                datetime_complete: None,
                ..trial(0, &[])
            }],
        ),
        (&MINIMIZE, (0..9).map(|number| trial(number, &[f64::INFINITY])).collect()),
        (&MINIMIZE, searched(100, 40)),
        (
            &TWO,
            (0..9)
                .map(|number| with_unit(trial(number, &[1.0, f64::from(number)]), "x", 0.5))
                .collect(),
        ),
    ];
    for (directions, trials) in cases {
        let study = study("s", directions);
        let page = page_of(&study, trials.clone());
        let before_script = page.split("<script>").next().unwrap_or_default();
        assert!(!before_script.contains("NaN"), "{before_script}");
        with_subject(&study, trials, |subject| {
            let (drawn, missing) = figures(subject);
            assert_eq!(drawn.len() + missing.len(), FigureKind::ALL.len());
            for figure in drawn {
                assert!(!figure.to_svg().contains("NaN"), "{:?}", figure.kind);
                let text = figure.to_text(80);
                assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
                let n_columns = figure.data.columns.len();
                assert!(
                    figure.data.rows.iter().all(|row| row.len() == n_columns),
                    "{:?}",
                    figure.kind
                );
            }
            assert!(missing.iter().all(|(_, reason)| !reason.is_empty()));
        });
    }
}

#[test]
fn many_trials_are_drawn_as_a_density_and_the_caption_says_so() {
    with_subject(&study("s", &MINIMIZE), searched(5000, 2), |subject| {
        let history = figure(subject, FigureKind::History).expect("trials");
        assert!(
            history.caption.contains("Cells of a stronger colour hold more trials"),
            "{}",
            history.caption
        );
        assert!(history.to_svg().len() < 60_000);
        assert_eq!(history.data.rows.len(), 5000);
    });
}

#[test]
fn a_figure_as_text_is_what_a_terminal_shows() {
    let trials = (0..12).map(|number| {
        let x = f64::from(number) / 11.0;
        with_unit(trial(number, &[(x - 0.5).powi(2)]), "x", x)
    });
    with_subject(&study("s", &MINIMIZE), trials.collect(), |subject| {
        let text = figure(subject, FigureKind::Slices).expect("trials").to_text(60);
        let want = include_str!("tests/slices.txt");
        assert_eq!(text, want, "{text}");
    });
}
