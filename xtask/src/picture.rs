//! `cargo xtask picture`: records a real study in a terminal, as the animated SVG that README shows.

use crate::guests;
use crate::shell::{cargo, root};
use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The commands as a reader would type them; the recording runs them in a folder that holds the files they name.
const COMMANDS: [&str; 4] = [
    "trialbox run digits.wasm --dir data::/data --storage study.db -n 8 --seed 1",
    "trialbox study best --storage study.db",
    "trialbox study importance --storage study.db",
    "trialbox trial replay 2 digits.wasm --dir data::/data --storage study.db",
];

/// The pause before a command appears, in which a reader looks at the output before it.
const PAUSE: Duration = Duration::from_millis(1200);

/// A longer line is cut, as it would be at the edge of a terminal.
const COLUMNS: usize = 110;

const PROMPT: &str = "\u{1b}[1;32m$\u{1b}[0m ";

/// A line of the terminal, and the time at which it appears.
struct Line {
    text: String,
    at: Duration,
}

/// Builds what the commands need, runs them, and writes `docs/terminal.svg`.
pub(crate) fn run() -> Result<()> {
    cargo(["build", "--release", "--package", "trialbox"])?;
    let wasm = guests::build_all()?.join("digits.wasm");
    let folder = root().join("target/picture");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(wasm, folder.join("digits.wasm"))?;
    std::os::unix::fs::symlink(root().join("examples/digits/data"), folder.join("data"))?;
    let mut lines = Vec::new();
    for command in COMMANDS {
        record(&folder, command, &mut lines)?;
    }
    let path = root().join("docs/terminal.svg");
    std::fs::write(&path, animate(&lines))?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Runs a command and appends its prompt and its output.
fn record(folder: &Path, command: &str, lines: &mut Vec<Line>) -> Result<()> {
    let typed = lines.last().map_or(Duration::ZERO, |line| line.at + PAUSE);
    lines.push(Line { text: format!("{PROMPT}{command}"), at: typed });
    let mut words = command.split(' ');
    let program = root().join("target/release").join(words.next().context("an empty command")?);
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{command}`"))?;
    let output = child.stdout.take().context("the output is not piped")?;
    for line in BufReader::new(output).lines() {
        let text = line?.chars().take(COLUMNS).collect();
        lines.push(Line { text, at: typed + started.elapsed() });
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{command}` failed: {status}");
    Ok(())
}

/// Draws the lines, each hidden until its time: by `fill-opacity`, because `opacity` does not apply to a `tspan`.
/// Readers who asked for less motion see all lines immediately.
fn animate(lines: &[Line]) -> String {
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let still = anstyle_svg::Term::new().render_svg(&text.join("\n"));
    let style = "\n    @keyframes appear { from { fill-opacity: 0 } to { fill-opacity: 1 } }\
                 \n    .line { animation: appear 1ms both }\
                 \n    @media (prefers-reduced-motion: reduce) { .line { animation: none } }\n  </style>";
    let mut drawn = 0;
    let mut svg = String::new();
    for row in still.replacen("</style>", style, 1).lines() {
        // The renderer draws each line of the terminal as one `tspan` with a position.
        match (row.trim_start().strip_prefix("<tspan x="), lines.get(drawn)) {
            (Some(rest), Some(line)) => {
                let delay = line.at.as_secs_f64();
                svg += &format!(
                    "    <tspan class=\"line\" style=\"animation-delay:{delay:.2}s\" x={rest}\n"
                );
                drawn += 1;
            }
            _ => svg += &format!("{row}\n"),
        }
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_appears_at_its_time_and_holds_its_text() {
        let lines = [
            Line { text: format!("{PROMPT}trialbox run"), at: Duration::ZERO },
            Line { text: "trial 0 <COMPLETE>".to_owned(), at: Duration::from_millis(1250) },
        ];
        let svg = animate(&lines);
        assert_eq!(svg.matches("class=\"line\"").count(), 2, "{svg}");
        assert!(svg.contains("animation-delay:0.00s"), "{svg}");
        let second = svg.lines().find(|row| row.contains("animation-delay:1.25s"));
        assert!(second.is_some_and(|row| row.contains("trial 0 &lt;COMPLETE&gt;")), "{svg}");
        assert!(svg.contains("prefers-reduced-motion"), "{svg}");
    }
}
