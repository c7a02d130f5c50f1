//! The page: one HTML file that requests nothing.
//!
//! Its Content-Security-Policy forbids every request, and allows the one style and the one script by their digests.
//! Without the script the page is complete; the script adds the trial under the pointer, sorting and selecting.

use crate::answers::{Answer, answers};
use crate::figure::{Figure, FigureKind};
use crate::figures::figures;
use crate::markup::Markup;
use crate::subject::Subject;
use crate::{svg, trials};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use trialbox_core::value::text::{counted, one_line, shorten};

/// The line by which a page is known, and may be overwritten.
pub const MARK: &str = "<!-- A report of trialbox, which may overwrite it. -->";

/// The window of a trial's record, and the label under the pointer; the script fills both.
const DIALOG: &str = r#"<dialog id="record" aria-labelledby="record-title">
<form method="dialog"><h2 id="record-title"></h2><button>Close</button></form>
<dl></dl><p class="soft">All of it: <code></code></p></dialog>
<div id="tip" role="status" hidden></div>"#;

const STYLE: &str = concat!(include_str!("figure.css"), include_str!("page.css"));
const SCRIPT: &str = include_str!("page.js");

/// The rows of a figure's data that the page shows.
const MAX_DATA_ROWS: usize = 12;

/// Returns the page of a study.
pub fn page(subject: &Subject) -> Markup {
    let mut html = Markup::default();
    let (figures, missing) = figures(subject);
    head(&mut html, subject);
    html.raw("<body><header>");
    html.raw("<h1>");
    html.text(&shorten(&one_line(&subject.study().name), 120));
    html.raw("</h1><p class=\"soft\">");
    html.text(&subtitle(subject));
    html.raw("</p></header><main>");
    summary(&mut html, &answers(subject));
    contents(&mut html, &figures);
    for figure in &figures {
        section(&mut html, subject, figure);
    }
    trials::section(&mut html, subject);
    left_out(&mut html, &missing);
    html.raw("</main><footer><p class=\"soft\">");
    html.text(&format!(
        "Written by trialbox {}. This file requests nothing from any network.",
        subject.ordered().version
    ));
    html.raw("</p></footer>");
    html.raw(DIALOG);
    html.raw("<script>");
    html.raw(SCRIPT);
    html.raw("</script></body></html>\n");
    html
}

fn head(html: &mut Markup, subject: &Subject) {
    html.raw("<!doctype html>\n");
    html.raw(MARK);
    html.raw("\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    );
    html.open(
        "meta",
        &[("http-equiv", "Content-Security-Policy".into()), ("content", (&policy).into())],
    );
    html.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    html.element(
        "title",
        &[],
        &format!("{} – report", shorten(&one_line(&subject.study().name), 60)),
    );
    html.raw("<style>");
    html.raw(STYLE);
    html.raw("</style></head>");
}

fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

fn subtitle(subject: &Subject) -> String {
    let objectives = subject.objective_labels().into_iter().zip(subject.directions());
    let objectives = objectives
        .map(|(name, direction)| format!("{direction} {}", shorten(&one_line(&name), 60)));
    format!(
        "{} · {} · as of {}",
        objectives.collect::<Vec<_>>().join(", "),
        counted(subject.trials().len() as u64, "trial"),
        subject.local(subject.now()).strftime("%Y-%m-%d %H:%M")
    )
}

fn summary(html: &mut Markup, answers: &[Answer]) {
    html.raw("<section aria-labelledby=\"h-summary\">");
    html.raw("<h2 id=\"h-summary\" class=\"hidden\">Summary</h2><dl class=\"summary\">");
    for answer in answers {
        html.raw(if answer.is_warning { "<div class=\"warning\"><dt>" } else { "<div><dt>" });
        html.text(answer.heading);
        html.raw("</dt><dd>");
        html.sentence(&answer.text);
        html.raw("</dd></div>");
    }
    html.raw("</dl></section>");
}

fn contents(html: &mut Markup, figures: &[Figure]) {
    html.raw("<nav aria-label=\"Figures\"><ul>");
    for figure in figures {
        let address = format!("#{}", figure.kind.as_str());
        html.raw("<li>");
        html.element("a", &[("href", (&address).into())], figure.kind.title());
        html.raw("</li>");
    }
    html.raw("<li><a href=\"#trials\">Trials</a></li></ul></nav>");
}

fn section(html: &mut Markup, subject: &Subject, figure: &Figure) {
    let id = figure.kind.as_str();
    let heading = format!("h-{id}");
    // A single narrow plot leaves room for another figure beside it.
    let class = match &figure.panels[..] {
        [panel] if !panel.is_wide => "half",
        _ => "whole",
    };
    let attributes =
        [("id", id.into()), ("class", class.into()), ("aria-labelledby", (&heading).into())];
    html.open("section", &attributes);
    html.element("h2", &[("id", (&heading).into())], figure.kind.title());
    html.raw("<p>");
    html.sentence(&one_line(&figure.caption));
    html.raw("</p>");
    if figure.kinds().len() > 1 {
        legend(html, figure);
    }
    html.raw("<div class=\"plots\">");
    for panel in &figure.panels {
        let class = if panel.is_wide { "scroll whole" } else { "scroll" };
        let label = format!("{}, plot", figure.kind.title());
        html.open(
            "div",
            &[
                ("class", class.into()),
                ("tabindex", 0.0.into()),
                ("role", "group".into()),
                ("aria-label", (&label).into()),
            ],
        );
        svg::plot(html, panel, &figure.caption);
        html.raw("</div>");
    }
    html.raw("</div>");
    data(html, subject, figure);
    html.raw("</section>");
}

fn legend(html: &mut Markup, figure: &Figure) {
    let kinds = figure.kinds();
    html.raw("<svg class=\"legend\" viewBox=\"0 0 460 20\" role=\"img\" aria-label=\"Legend\">");
    svg::legend(html, &kinds, (2.0, 14.0));
    html.raw("</svg>");
}

/// Adds the first rows of a figure's data, for readers who cannot see the plot.
fn data(html: &mut Markup, subject: &Subject, figure: &Figure) {
    let table = &figure.data;
    html.raw("<details><summary>Data</summary>");
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Data of the figure\"><table><caption>");
    let n_rows = table.rows.len();
    let shown = n_rows.min(MAX_DATA_ROWS);
    html.text(&match shown == n_rows {
        true => figure.kind.title().to_owned(),
        false => format!(
            "{}: the first {shown} of {n_rows} rows. All of them: {} {}",
            figure.kind.title(),
            subject.ordered().plot,
            figure.kind.as_str()
        ),
    });
    html.raw("</caption><thead><tr>");
    for name in &table.columns {
        html.element("th", &[("scope", "col".into())], &shorten(&one_line(name), 40));
    }
    html.raw("</tr></thead><tbody>");
    for row in table.rows.iter().take(MAX_DATA_ROWS) {
        html.raw("<tr>");
        for cell in row {
            html.raw("<td>");
            html.text(&shorten(&one_line(&cell.show()), 40));
        }
        html.raw("\n");
    }
    html.raw("</tbody></table></div></details>");
}

fn left_out(html: &mut Markup, missing: &[(FigureKind, String)]) {
    if missing.is_empty() {
        return;
    }
    html.raw(
        "<section aria-labelledby=\"h-missing\"><h2 id=\"h-missing\">Figures without data</h2><ul>",
    );
    for (kind, reason) in missing {
        html.raw("<li>");
        html.text(&format!("{}: {}.", kind.title(), one_line(reason)));
        html.raw("</li>");
    }
    html.raw("</ul></section>");
}
