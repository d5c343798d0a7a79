//! Bar charts as SVG, with text as text, without scripts and external resources, with colors for light and dark.

use std::fmt::Write;

/// A group of bars with a common scale from zero.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// Which direction is better, as text.
    pub(crate) better: &'static str,
    pub(crate) bars: Vec<Bar>,
}

pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) tone: Tone,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// The median, as text next to the bar.
    pub(crate) value: String,
}

#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Ours,
    Theirs,
    Baseline,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Ours => "ours",
            Tone::Theirs => "theirs",
            Tone::Baseline => "baseline",
        }
    }
}

/// The width of the drawing in pixels, unscaled.
const WIDTH: f64 = 820.0;
const MARGIN: f64 = 24.0;
/// The left end of the bars, in pixels; the names are left of it.
const BARS: f64 = 210.0;
/// The length of the longest bar, in pixels; the values are right of it.
const MAX_BAR: f64 = 500.0;
const ROW: f64 = 26.0;
const BAR_HEIGHT: f64 = 16.0;
/// The height of a panel's title in pixels, including the space above it.
const TITLE_HEIGHT: f64 = 54.0;

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:13px;fill:#1f2328}\
.back{fill:#fff}.heading{font-size:18px;font-weight:600}.title{font-size:14px;font-weight:600}.soft{fill:#59636e}\
.name{text-anchor:end}.axis{stroke:#8c959f}.spread{stroke:#1f2328;stroke-opacity:.65;stroke-width:1.5}\
.ours{fill:#2e8b57}.theirs{fill:#8fa3b8}.baseline{fill:#d5dbe1}text.mine{font-weight:600}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.soft{fill:#9198a1}.axis{stroke:#656c76}\
.spread{stroke:#e6edf3}.ours{fill:#46b478}.theirs{fill:#5c7086}.baseline{fill:#343c46}}";

/// Draws the panels one below the other.
pub(crate) fn draw(heading: &str, caption: &str, panels: &[Panel]) -> String {
    let lines = wrap(caption, 120);
    let rows: usize = panels.iter().map(|panel| panel.bars.len()).sum();
    let height =
        52.0 + panels.len() as f64 * TITLE_HEIGHT + rows as f64 * ROW + 30.0 + lines.len() as f64 * 18.0;
    let mut svg = Svg(String::new());
    svg.line(&format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="heading caption">"#
    ));
    svg.line(&format!(r#"<title id="heading">{}</title>"#, escape(heading)));
    svg.line(&format!(r#"<desc id="caption">{}</desc>"#, escape(caption)));
    svg.line(&format!("<style>{STYLE}</style>"));
    svg.line(&format!(r#"<rect class="back" width="{WIDTH}" height="{height}" rx="8"/>"#));
    svg.text(MARGIN, 38.0, "heading", heading);
    let mut top = 52.0;
    for panel in panels {
        top = svg.panel(panel, top);
    }
    for (number, line) in lines.iter().enumerate() {
        svg.text(MARGIN, top + 32.0 + number as f64 * 18.0, "soft", line);
    }
    svg.line("</svg>");
    svg.0
}

struct Svg(String);

impl Svg {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.line(&format!(r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{}</text>"#, escape(text)));
    }

    /// Draws a panel at `top`. Returns the position of the next one.
    fn panel(&mut self, panel: &Panel, top: f64) -> f64 {
        let title = escape(panel.title);
        let (y, better) = (top + 38.0, escape(panel.better));
        self.line(&format!(
            r#"<text x="{MARGIN}" y="{y}" class="title">{title}<tspan class="soft" font-weight="400" dx="8">{better}</tspan></text>"#
        ));
        let longest = panel.bars.iter().map(|bar| bar.most.max(bar.median)).fold(0.0, f64::max);
        let scale = if longest > 0.0 { MAX_BAR / longest } else { 0.0 };
        let first = top + TITLE_HEIGHT;
        for (number, bar) in panel.bars.iter().enumerate() {
            self.bar(bar, first + number as f64 * ROW, scale);
        }
        let end = first + panel.bars.len() as f64 * ROW;
        self.line(&format!(r#"<line class="axis" x1="{BARS}" y1="{first:.1}" x2="{BARS}" y2="{end:.1}"/>"#));
        end
    }

    fn bar(&mut self, bar: &Bar, top: f64, scale: f64) {
        let (middle, at) = (top + ROW / 2.0, |value: f64| BARS + value.max(0.0) * scale);
        let mine = if matches!(bar.tone, Tone::Ours) { " mine" } else { "" };
        self.text(BARS - 10.0, middle + 4.5, &format!("name{mine}"), bar.name);
        self.line(&format!(
            r#"<rect class="{}" x="{BARS}" y="{:.1}" width="{:.1}" height="{BAR_HEIGHT}"/>"#,
            bar.tone.class(),
            middle - BAR_HEIGHT / 2.0,
            at(bar.median) - BARS
        ));
        if bar.most > bar.least {
            let (from, to) = (at(bar.least), at(bar.most));
            self.line(&format!(
                r#"<line class="spread" x1="{from:.1}" y1="{middle:.1}" x2="{to:.1}" y2="{middle:.1}"/>"#
            ));
        }
        let value_class = format!("value{mine}");
        self.text(at(bar.most.max(bar.median)) + 8.0, middle + 4.5, &value_class, &bar.value);
    }
}

/// Escapes XML's special characters.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Breaks text between words into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        // `lines` is created with one line, and never becomes empty.
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        let space = if line.is_empty() { "" } else { " " };
        // Cannot fail: the target is a `String`.
        let _ = write!(line, "{space}{word}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &'static str, median: f64) -> Bar {
        Bar {
            name,
            tone: Tone::Ours,
            median,
            least: median / 2.0,
            most: median * 1.5,
            value: format!("{median} <M>"),
        }
    }

    fn plot(bars: Vec<Bar>) -> String {
        draw("Speed & size", "What is \"drawn\" here.", &[Panel { title: "A < B", better: "more", bars }])
    }

    /// The names of the elements in order; `None` if one is not closed correctly.
    fn elements(xml: &str) -> Option<Vec<String>> {
        let (mut open, mut all): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for part in xml.split('<').skip(1) {
            let (tag, text) = part.split_once('>')?;
            if text.contains('>')
                || text
                    .replace("&amp;", "")
                    .replace("&lt;", "")
                    .replace("&gt;", "")
                    .replace("&quot;", "")
                    .contains('&')
            {
                return None;
            }
            let name = tag.trim_start_matches('/').split([' ', '/']).next()?.to_owned();
            if tag.starts_with('/') {
                if open.pop()? != name {
                    return None;
                }
                continue;
            }
            if tag.matches('"').count() % 2 != 0 {
                return None;
            }
            all.push(name.clone());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        open.is_empty().then_some(all)
    }

    #[test]
    fn plot_is_well_formed_and_has_only_shapes_and_text() {
        let svg = plot(vec![bar("x & y", 2.0), bar("z", 1.0)]);
        let elements = elements(&svg).unwrap_or_else(|| panic!("not well formed: {svg}"));
        let known = ["svg", "title", "desc", "style", "rect", "text", "tspan", "line"];
        assert!(elements.iter().all(|name| known.contains(&name.as_str())), "{elements:?}");
        for foreign in ["script", "href", "url(", "@import", "onload"] {
            assert!(!svg.contains(foreign), "{foreign}");
        }
        assert!(svg.contains("prefers-color-scheme:dark"));
        assert!(svg.contains(">x &amp; y</text>") && svg.contains("2 &lt;M&gt;"), "{svg}");
    }

    #[test]
    fn bars_share_a_scale_from_zero() {
        let svg = plot(vec![bar("x", 2.0), bar("z", 1.0)]);
        // The longest bar represents the maximum, 3; the others 2 and 1.
        assert!(svg.contains(r#"width="333.3""#) && svg.contains(r#"width="166.7""#), "{svg}");
        assert!(svg.contains(r#"x2="710.0""#), "{svg}");
    }

    #[test]
    fn zero_is_drawn_without_a_division_by_zero() {
        assert!(!plot(vec![bar("x", 0.0)]).contains("NaN"));
    }

    #[test]
    fn long_lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
    }
}
