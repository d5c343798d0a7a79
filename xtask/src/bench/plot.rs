//! The contents of the plot: three figures of every server.

use super::figures;
use super::figures::number;
use super::peers::Peer;
use super::results::{Measure, Results, Spread};
use super::svg::{self, Bar, Panel, Tone};

/// Draws the plot; `None` if none of its figures was measured.
pub(crate) fn draw(results: &Results) -> Option<String> {
    let of = |scenario, figure| {
        move |peer| {
            let spread = results.spread(Measure { scenario, peer, figure })?;
            Some(spread)
        }
    };
    let panels = [
        panel(
            "Deliveries a second, one room of 1,000, 128 messages in flight",
            "more is better",
            of("b128", figures::rate),
            millions,
        ),
        panel(
            "Server CPU for each delivery, one room of 1,000, 50 messages a second",
            "less is better",
            of("a", figures::cpu),
            |it| format!("{} µs", number(it, 1)),
        ),
        panel(
            "Memory for each idle connection that has joined",
            "less is better",
            |peer| results.slope(peer),
            |it| format!("{} KiB", number(it, 1)),
        ),
    ];
    let panels: Vec<_> = panels.into_iter().filter(|panel| !panel.bars.is_empty()).collect();
    let caption = "Teahouse and the baseline write each message to the disk, synced, before they deliver it; the others \
                   store nothing. The thin line is the range of the rounds.";
    (!panels.is_empty()).then(|| svg::draw("Teahouse and other servers, one core each", caption, &panels))
}

fn panel(
    title: &'static str,
    better: &'static str,
    spread: impl Fn(Peer) -> Option<Spread>,
    show: fn(f64) -> String,
) -> Panel {
    let bar = |peer: Peer| {
        let Spread { median, least, most } = spread(peer)?;
        let tone = match peer {
            Peer::Teahouse => Tone::Ours,
            _ if peer.is_baseline() => Tone::Baseline,
            _ => Tone::Theirs,
        };
        Some(Bar { name: peer.name(), tone, median, least, most, value: show(median) })
    };
    Panel { title, better, bars: Peer::ALL.into_iter().filter_map(bar).collect() }
}

/// Formats 6,787,132 as 6.8 M; values below a tenth of the unit get one more digit.
fn millions(value: f64) -> String {
    format!("{} M", number(value / 1e6, if value < 1e6 { 2 } else { 1 }))
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::load;
    use super::*;

    #[test]
    fn every_measured_server_is_drawn() {
        let mut results = Results::default();
        assert_eq!(draw(&results), None);
        results.add(1, "b128", Peer::Teahouse, Ok(load(6_787_132.0, 0.1, 0.0)));
        results.add(1, "b128", Peer::NodeWs, Ok(load(92_655.0, 10.9, 0.0)));
        results.add(1, "b128", Peer::GoHub, Err(anyhow::anyhow!("void")));
        let svg = draw(&results).unwrap();
        assert!(svg.contains(">6.8 M<") && svg.contains(">0.09 M<"), "{svg}");
        assert!(svg.contains(">Node hub (ws)<") && !svg.contains("Go hub"), "{svg}");
        assert!(!svg.contains("idle connection"), "a panel without bars: {svg}");
    }
}
