//! Rules about the pages: links and names of files lead somewhere, and `docs/format.md` lists all attributes.

use super::source::{Source, Violation, is_word};
use crate::shell::root;
use std::path::Path;

/// The page that lists what is on disk.
const FORMAT: &str = "docs/format.md";

/// The pages that lead a reader to files.
const MAPS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// The prefix of our attributes.
const PREFIX: &str = "trialbox:";

/// Names with the prefix that are not attributes: the contract's package.
const NOT_ATTRIBUTES: [&str; 1] = ["trialbox:objective"];

/// Returns the links of pages whose file or heading does not exist.
pub(crate) fn broken_links(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for page in sources.iter().filter(|source| is_page(source)) {
        for (line, target) in links(&page.text) {
            if let Some(problem) = problem_of_link(page, &target, sources) {
                found.push(page.violation(line, problem));
            }
        }
    }
    found
}

/// Returns the attributes in the host's code that the page on the format does not name.
pub(crate) fn unlisted_attributes(sources: &[Source]) -> Vec<Violation> {
    let page = sources.iter().find(|source| source.path == FORMAT);
    let listed = page.map_or("", |page| page.text.as_str());
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("host/")) {
        let Some(source) = source.without_tests() else { continue };
        for (line, text) in source.rust.strings.lines().enumerate() {
            for name in attributes(text) {
                if !listed.contains(&format!("`{name}`")) && !listed.contains(&format!("`{name}:"))
                {
                    found.push(source.violation(line, format!("`{name}` is not in {FORMAT}")));
                }
            }
        }
    }
    found
}

/// Returns the files that a page of the repository's map names and that do not exist.
pub(crate) fn unknown_files(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for page in sources.iter().filter(|source| MAPS.contains(&source.path.as_str())) {
        for (number, line) in page.text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|name| is_file_name(name)) {
                if !sources.iter().any(|source| is_named(&source.path, name)) {
                    found.push(page.violation(number, format!("`{name}` does not exist")));
                }
            }
        }
    }
    found
}

/// Returns whether a text in backquotes is the name of a Rust file.
fn is_file_name(text: &str) -> bool {
    text.ends_with(".rs") && text.chars().all(|it| is_word(it) || matches!(it, '/' | '.' | '-'))
}

/// Returns whether a path is the file that a map names, such as `core/run/next.rs` for a file in the crate's `src`.
fn is_named(path: &str, name: &str) -> bool {
    let in_crate = name.split_once('/').map(|(short, rest)| format!("trialbox-{short}/src/{rest}"));
    let ends_with = |end: &str| path == end || path.ends_with(&format!("/{end}"));
    ends_with(name) || in_crate.is_some_and(|in_crate| ends_with(&in_crate))
}

fn is_page(source: &Source) -> bool {
    source.path.ends_with(".md") && !source.path.starts_with("benches/results/")
}

/// Returns the targets of a page's links with their lines, without those in blocks of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = &line[at + 2..];
            if let Some(end) = target.find(')') {
                found.push((number, target[..end].to_owned()));
            }
        }
    }
    found
}

fn problem_of_link(page: &Source, target: &str, sources: &[Source]) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => page.path.clone(),
        file => beside(&page.path, file),
    };
    let other = sources.iter().find(|source| source.path == path);
    if other.is_none() && !root().join(&path).exists() {
        return Some(format!("the link `{target}` leads to `{path}`, which does not exist"));
    }
    let is_there = other.is_none_or(|other| headings(&other.text).any(|found| found == heading));
    (!heading.is_empty() && !is_there)
        .then(|| format!("the link `{target}` leads to a heading that `{path}` does not have"))
}

/// Returns the path below the top folder of a file that is named as seen from another one's folder.
fn beside(page: &str, file: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Path::new(&parts.join("/")).display().to_string()
}

/// Returns the anchors of a page's headings, as GitHub makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = text.lines().filter_map(|line| line.strip_prefix('#'));
    titles.map(|title| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|it| is_word(*it) || matches!(it, ' ' | '-'));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    })
}

/// Returns the names of attributes that begin a string literal in a line.
fn attributes(strings: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in strings.match_indices(PREFIX) {
        let name = &strings[at + PREFIX.len()..];
        let end = name.find(|it| !is_word(it)).unwrap_or(name.len());
        let name = &strings[at..at + PREFIX.len() + end];
        let is_whole = strings[..at].ends_with('"') && end > 0;
        if is_whole && !NOT_ATTRIBUTES.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_must_lead_to_a_file_and_a_heading() {
        let text = "# Top\n\n## The `run` command\n\n[a](#the-run-command) [b](#other) [c](nowhere.md)\n\
                    [d](https://example.org) [e](../README.md)\n```\n[f](nowhere.md)\n```\n";
        let pages = [Source::new("docs/page.md", text)];
        let found: Vec<_> =
            broken_links(&pages).into_iter().map(|it| (it.line, it.message)).collect();
        let heading = "the link `#other` leads to a heading that `docs/page.md` does not have";
        let file = "the link `nowhere.md` leads to `docs/nowhere.md`, which does not exist";
        assert_eq!(found, [(5, heading.to_owned()), (5, file.to_owned())]);
    }

    #[test]
    fn a_file_that_a_map_names_must_exist() {
        let map =
            "The loop is `core/run/next.rs`, its flags `args/until.rs` and `args/gone.rs`; `a.b`.";
        let sources = [
            Source::new("ARCHITECTURE.md", map),
            Source::new("host/trialbox-core/src/run/next.rs", ""),
            Source::new("host/trialbox/src/args/until.rs", ""),
        ];
        let found: Vec<_> = unknown_files(&sources).into_iter().map(|it| it.message).collect();
        assert_eq!(found, ["`args/gone.rs` does not exist"]);
    }

    #[test]
    fn an_attribute_must_be_listed() {
        let code = "const A: &str = \"trialbox:one\";\nconst B: &str = \"trialbox:two:\";\n\
                    const C: &str = \"trialbox:objective/trial\";\nconst D: &str = \"trialbox:\";\n\
                    const E: &str = \"trialbox:three\"; const F: &str = \"of trialbox:x\";\n";
        let sources = [
            Source::new("host/a/src/lib.rs", code),
            Source::new(FORMAT, "| `trialbox:one` | `trialbox:two:NUMBER` |"),
        ];
        let found: Vec<_> =
            unlisted_attributes(&sources).into_iter().map(|it| (it.line, it.message)).collect();
        assert_eq!(found, [(5, "`trialbox:three` is not in docs/format.md".to_owned())]);
    }
}
