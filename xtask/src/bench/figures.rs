//! The figures of one run that the tables, the thresholds and the plot use.

use std::fmt;

use serde::Deserialize;

/// The figures of a run; each kind of scenario fills some of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Figures {
    pub(crate) load: Option<Load>,
    /// The load in the background of the measurement of `load`.
    pub(crate) background: Option<Load>,
    /// Teahouse's average number of messages per commit.
    pub(crate) batch: Option<f64>,
    pub(crate) reference_store: Option<ReferenceFigures>,
    pub(crate) start: Option<StartupFigures>,
}

/// The part of the generator's report that is used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Load {
    pub(crate) deliveries_per_second: f64,
    pub(crate) latency_ms: Times,
    pub(crate) acknowledge_ms: Times,
    /// From a message's post to its last member's receipt.
    pub(crate) complete_ms: Times,
    pub(crate) joining: Joining,
    /// Seconds from the first connection until every client had received every join.
    pub(crate) caught_up_seconds: Option<f64>,
    pub(crate) stalled_gaps: u64,
    pub(crate) generator_cpu_cores: f64,
    pub(crate) server: ServerUse,
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Joining {
    pub(crate) per_second: f64,
    pub(crate) generator_cpu_cores: f64,
    pub(crate) server_cpu_cores: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ServerUse {
    pub(crate) cpu_us_per_delivery: Option<f64>,
    pub(crate) memory_after: f64,
    pub(crate) memory_peak: f64,
}

/// The throughput of a bare store at one batch size.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct ReferenceFigures {
    batch: f64,
    per_second: f64,
    commit_ms_p50: f64,
}

/// One start of a server with an idle data folder.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct StartupFigures {
    ms: f64,
    /// The server's memory in bytes.
    memory: f64,
    /// The messages in the data folder before the start.
    #[serde(default)]
    messages: f64,
}

/// Extracts a figure; `None` if the run does not have it.
pub(crate) type Figure = fn(&Figures) -> Option<f64>;

const MIB: f64 = 1024.0 * 1024.0;

fn above_zero(value: f64) -> Option<f64> {
    (value > 0.0).then_some(value)
}

pub(crate) fn rate(it: &Figures) -> Option<f64> {
    it.reference_store
        .map(|reference_store| reference_store.per_second)
        .or_else(|| Some(it.load.as_ref()?.deliveries_per_second))
}

/// Microseconds of server CPU per delivery.
pub(crate) fn cpu(it: &Figures) -> Option<f64> {
    it.load.as_ref()?.server.cpu_us_per_delivery
}

pub(crate) fn p50(it: &Figures) -> Option<f64> {
    Some(it.load.as_ref()?.latency_ms.p50)
}

pub(crate) fn p99(it: &Figures) -> Option<f64> {
    Some(it.load.as_ref()?.latency_ms.p99)
}

/// Milliseconds until the acknowledgement; for a reference store, until the commit.
pub(crate) fn answer(it: &Figures) -> Option<f64> {
    it.reference_store
        .map(|reference_store| reference_store.commit_ms_p50)
        .or_else(|| above_zero(it.load.as_ref()?.acknowledge_ms.p50))
}

pub(crate) fn batch(it: &Figures) -> Option<f64> {
    it.batch.or_else(|| Some(it.reference_store?.batch))
}

pub(crate) fn complete_p50(it: &Figures) -> Option<f64> {
    above_zero(it.load.as_ref()?.complete_ms.p50)
}

pub(crate) fn complete_p99(it: &Figures) -> Option<f64> {
    above_zero(it.load.as_ref()?.complete_ms.p99)
}

/// The server's memory at the end, in MiB.
pub(crate) fn memory(it: &Figures) -> Option<f64> {
    above_zero(it.load.as_ref()?.server.memory_after / MIB)
}

/// The server's maximum memory, in MiB.
pub(crate) fn peak(it: &Figures) -> Option<f64> {
    above_zero(it.load.as_ref()?.server.memory_peak / MIB)
}

pub(crate) fn joins(it: &Figures) -> Option<f64> {
    above_zero(it.load.as_ref()?.joining.per_second)
}

/// The server's CPU during the joins, in per cent of a core.
pub(crate) fn joining_server(it: &Figures) -> Option<f64> {
    Some(it.load.as_ref()?.joining.server_cpu_cores? * 100.0)
}

/// The generator's CPU during the joins, in per cent of a core.
pub(crate) fn joining_generator(it: &Figures) -> Option<f64> {
    Some(it.load.as_ref()?.joining.generator_cpu_cores * 100.0)
}

pub(crate) fn caught_up(it: &Figures) -> Option<f64> {
    it.load.as_ref()?.caught_up_seconds
}

/// The CPU of the run's generators together, in per cent of a core.
pub(crate) fn generator(it: &Figures) -> Option<f64> {
    let background = it.background.as_ref().map_or(0.0, |background| background.generator_cpu_cores);
    Some((it.load.as_ref()?.generator_cpu_cores + background) * 100.0)
}

pub(crate) fn stalled_gaps(it: &Figures) -> Option<f64> {
    Some(it.load.as_ref()?.stalled_gaps as f64)
}

/// Milliseconds until the first answer after a start.
pub(crate) fn start_ms(it: &Figures) -> Option<f64> {
    Some(it.start?.ms)
}

/// The memory of an idle server some seconds after its start, in MiB.
pub(crate) fn start_memory(it: &Figures) -> Option<f64> {
    Some(it.start?.memory / MIB)
}

pub(crate) fn start_messages(it: &Figures) -> Option<f64> {
    Some(it.start?.messages)
}

impl Figures {
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &str> {
        self.load.iter().chain(&self.background).flat_map(|load| load.warnings.iter().map(String::as_str))
    }
}

/// Formats one line of progress output.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(load) = &self.load {
            let memory = load.server.memory_after / MIB;
            write!(f, "joined {:.0}/s, {memory:.1} MiB", load.joining.per_second)?;
            if let Some(cpu) = load.server.cpu_us_per_delivery {
                let [p99, complete] = [load.latency_ms.p99, load.complete_ms.p99].map(|ms| number(ms, 2));
                let rate = number(load.deliveries_per_second, 0);
                write!(f, ", {rate} deliveries/s at {cpu:.2} µs, p99 {p99} ms, to all {complete} ms")?;
                write!(f, ", generator {:.0} %", load.generator_cpu_cores * 100.0)?;
            }
        }
        if let Some(batch) = self.batch.filter(|&batch| batch > 0.0) {
            write!(f, ", {batch:.1} messages a commit")?;
        }
        if let Some(background) = &self.background {
            write!(f, "; background to all p99 {:.2} ms", background.complete_ms.p99)?;
        }
        if let Some(reference_store) = &self.reference_store {
            write!(
                f,
                "{:.0}/s in batches of {:.0}, {:.3} ms a commit",
                reference_store.per_second, reference_store.batch, reference_store.commit_ms_p50
            )?;
        }
        if let Some(start) = &self.start {
            write!(f, "first answer after {:.1} ms, {:.2} MiB", start.ms, start.memory / MIB)?;
        }
        Ok(())
    }
}

/// Formats a number with commas between thousands.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
