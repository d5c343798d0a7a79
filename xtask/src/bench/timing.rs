//! How long a run is measured.

/// Durations in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) seconds: f64,
    /// Before the measurement.
    pub(crate) settle: f64,
}
