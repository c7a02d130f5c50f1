//! What every sampler must do, whatever it proposes. A new sampler adds its name to the list.

use std::collections::BTreeMap;
use trialbox_core::distribution::Distribution;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::rng::trial_rng;
use trialbox_core::sampler::Ask;
use trialbox_core::study::StudyDirection;
use trialbox_core::trial::TrialNumber;
use trialbox_samplers::SamplerConfig;

fn all() -> Vec<SamplerConfig> {
    let named = SamplerConfig::NAMES.iter().map(|name| SamplerConfig::parse(name).expect("known"));
    named.chain([SamplerConfig::Midpoint]).collect()
}

fn ask(history: &History) -> Ask<'_> {
    static NONE: BTreeMap<String, Json> = BTreeMap::new();
    Ask { history, number: TrialNumber(7), params: &[], fixed_params: &[], system_attrs: &NONE }
}

fn distributions() -> Vec<Distribution> {
    let choices = |n: i64| (0..n).map(Json::from).collect::<Vec<_>>();
    [
        Distribution::float(0.0, 1.0, false, None),
        Distribution::float(-1e300, 1e300, false, None),
        Distribution::float(5e-324, 1e308, true, None),
        Distribution::float(1e-9, 1e-9, true, None),
        Distribution::float(1.0, 1.0f64.next_up(), false, None),
        Distribution::float(0.0, 1.0, false, Some(0.3)),
        Distribution::float(-1.0, 1.0, false, Some(5.0)),
        Distribution::int(0, 1, false, 1),
        Distribution::int(-(1 << 53), 1 << 53, false, 1),
        Distribution::int(1, 1 << 53, true, 1),
        Distribution::int(3, 1000, false, 7),
        Distribution::int(5, 5, false, 1),
        Distribution::categorical(choices(1)),
        Distribution::categorical(choices(1000)),
    ]
    .into_iter()
    .map(|distribution| distribution.expect("a valid distribution"))
    .collect()
}

#[test]
fn every_draw_is_in_range_and_on_the_grid() {
    let history = History::new(vec![StudyDirection::Minimize], vec![]);
    for config in all() {
        let sampler = config.build();
        for distribution in distributions() {
            for number in 0..200 {
                let mut rng = trial_rng(7, TrialNumber(number));
                let value =
                    sampler.sample_independent(&ask(&history), "x", &distribution, &mut rng);
                assert!(
                    distribution.contains(value),
                    "{}: {value} of {distribution}",
                    config.name()
                );
            }
        }
    }
}

#[test]
fn the_same_seed_and_number_draw_the_same() {
    let history = History::new(vec![StudyDirection::Minimize], vec![]);
    for config in all() {
        for distribution in distributions() {
            let draw = || {
                let mut rng = trial_rng(7, TrialNumber(3));
                config.build().sample_independent(&ask(&history), "x", &distribution, &mut rng)
            };
            assert_eq!(draw().to_bits(), draw().to_bits());
        }
    }
}

#[test]
fn a_joint_draw_covers_its_space() {
    let history = History::new(vec![StudyDirection::Minimize], vec![]);
    for config in all() {
        let sampler = config.build();
        let space = sampler.relative_search_space(&ask(&history));
        let drawn =
            sampler.sample_relative(&ask(&history), &space, &mut trial_rng(7, TrialNumber(3)));
        for (name, distribution) in space.iter() {
            assert!(drawn.params.get(name).is_none_or(|value| distribution.contains(*value)));
        }
    }
}

#[test]
fn a_name_that_is_no_sampler_lists_those_there_are() {
    let error = SamplerConfig::parse("tea").expect_err("no such sampler");
    assert_eq!(
        error.to_string(),
        "there is no sampler `tea`; there are: tpe, random, qmc, grid, brute-force"
    );
    assert_eq!(
        SamplerConfig::from_json(&SamplerConfig::Random.to_json()),
        Ok(SamplerConfig::Random)
    );
}

#[test]
fn options_without_a_default_are_asked_for() {
    let mut grid = SamplerConfig::parse("grid").expect("a sampler");
    let error = grid.check_complete().expect_err("a grid without values");
    assert!(
        error
            .to_string()
            .starts_with("sampler `grid` needs the option `search_space`, for example")
    );
    grid.set_option(r#"search_space={"lr": [0.1, 0.01]}"#).expect("a grid");
    assert_eq!(grid.check_complete(), Ok(()));
    assert_eq!(SamplerConfig::from_json(&grid.to_json()), Ok(grid));
}
