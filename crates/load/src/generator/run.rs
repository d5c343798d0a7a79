//! The phases of a run.

use std::time::{Duration, Instant};

use super::connection::Stage;
use super::crowd::{Crowd, Measured};
use super::pace::Pace;
use super::process::{cpu_time, own_memory};
use super::{LoadError, Plan, Report, ServerUse, Times};

/// How long what was sent may take to be answered and heard.
const DRAIN: Duration = Duration::from_secs(120);

/// A generator that has no core's time left measures itself.
const BUSY: f64 = 0.9;

/// Later than this, a message was not sent at the rate that was asked for.
const LATE: Duration = Duration::from_millis(50);

/// One tick of /proc: a run of less than a hundred tells little about CPU.
const TICK: Duration = Duration::from_millis(10);

/// Carries out the plan. Blocks until it is done; the connections end with it.
pub fn run(plan: &Plan) -> Result<Report, LoadError> {
    plan.check()?;
    let memory = || plan.server_pid.and_then(own_memory);
    if plan.server_pid.is_some() && memory().is_none() {
        return Err(LoadError::Plan("the server's process cannot be looked at".to_owned()));
    }
    let mut crowd = Crowd::new(plan)?;
    let memory_before = memory();
    let connect_seconds = join(&mut crowd, plan)?;
    settle(&mut crowd, plan)?;
    let memory_joined = memory();

    let mut pace = Pace::new(&crowd, plan);
    pace.send_for(&mut crowd, plan.warmup)?;
    crowd.measured = Some(Measured::default());
    let (begun, ours, theirs) = (Instant::now(), own_cpu(), plan.server_pid.and_then(cpu_time));
    pace.send_for(&mut crowd, plan.duration)?;
    let seconds = begun.elapsed().as_secs_f64();
    let measured = crowd.measured.take().unwrap_or_default();
    let share = |before: Option<Duration>, after: Option<Duration>| {
        Some(after?.saturating_sub(before?).as_secs_f64() / seconds)
    };
    let generator = share(ours, own_cpu()).unwrap_or(0.0);
    let server = share(theirs, plan.server_pid.and_then(cpu_time));
    let memory_after = memory();
    wait_until_caught_up(&mut crowd, plan)?;

    let mut report = Report {
        connections: crowd.joined,
        rooms: plan.rooms,
        senders: plan.senders,
        body_bytes: plan.body,
        connect_seconds,
        seconds,
        sent: crowd.senders.iter().map(|sender| sender.sent()).sum(),
        acknowledged: crowd.counts.acknowledged,
        unanswered: unanswered(&crowd),
        deliveries: measured.deliveries,
        deliveries_per_second: measured.deliveries as f64 / seconds,
        deliveries_in_all: crowd.counts.deliveries,
        latency_ms: Times::of(&measured.latency),
        acknowledge_ms: Times::of(&measured.acknowledge),
        late_ms: pace.late_us as f64 / 1000.0,
        errors: crowd.counts.errors,
        closed: crowd.counts.closed,
        generator_cpu_cores: generator,
        ..Report::default()
    };
    report.server = server.map(|cpu_cores| ServerUse {
        cpu_cores,
        cpu_us_per_delivery: (measured.deliveries > 0)
            .then(|| cpu_cores * seconds * 1e6 / measured.deliveries as f64),
        memory_before: memory_before.unwrap_or(0),
        memory_joined: memory_joined.unwrap_or(0),
        memory_after: memory_after.unwrap_or(0),
        memory_per_connection: (memory_joined.unwrap_or(0) as f64 - memory_before.unwrap_or(0) as f64)
            / f64::from(crowd.joined),
    });
    if generator > BUSY {
        report.warnings.push(format!(
            "the generator used {:.0} % of a core: it may have measured itself",
            generator * 100.0
        ));
    }
    if seconds < TICK.as_secs_f64() * 100.0 {
        report.warnings.push("less than a second was measured: its CPU is a guess".to_owned());
    }
    if pace.late_us > LATE.as_micros() as u64 {
        report.warnings.push("the schedule was not kept: the generator had to wait for a core".to_owned());
    }
    if pace.skipped > 0 {
        report.warnings.push(format!("{} messages were due and could not be sent", pace.skipped));
    }
    let lived = |stage: &Stage| matches!(stage, Stage::Member);
    let members = crowd.connections.iter().map(|connection| (&connection.member, lived(&connection.stage)));
    let rooms: Vec<_> = crowd.senders.iter().map(|sender| sender.room).collect();
    report.findings = crowd.checker.finish(members, |sender| rooms[sender as usize]);
    if let Some(hall) = crowd.hall {
        let lived = crowd.connections.iter().map(|connection| lived(&connection.stage));
        hall.finish(lived, &crowd.senders, &mut report.findings);
    }
    Ok(report)
}

fn own_cpu() -> Option<Duration> {
    cpu_time(std::process::id())
}

fn unanswered(crowd: &Crowd) -> u64 {
    crowd.senders.iter().filter(|sender| !sender.gone).map(|sender| u64::from(sender.unanswered)).sum()
}

/// Connects all, so many at a time: how long it took.
fn join(crowd: &mut Crowd, plan: &Plan) -> Result<f64, LoadError> {
    let begun = Instant::now();
    while crowd.joined < plan.connections {
        while (crowd.connections.len() as u32) < plan.connections.min(crowd.joined + plan.parallel) {
            crowd.connect_one(plan)?;
        }
        crowd.turn(Instant::now() + Duration::from_millis(100))?;
        if crowd.last_progress.elapsed() > plan.patience || begun.elapsed() > DRAIN * 5 {
            return Err(LoadError::Stuck {
                joined: crowd.joined,
                wanted: plan.connections,
                seconds: plan.patience.as_secs(),
            });
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Until all have heard of all who joined, and a moment more.
fn settle(crowd: &mut Crowd, plan: &Plan) -> Result<(), LoadError> {
    wait_until_caught_up(crowd, plan)?;
    let until = Instant::now() + plan.settle;
    while Instant::now() < until {
        crowd.turn(until)?;
    }
    wait_until_caught_up(crowd, plan)
}

/// Until all is answered and heard, or nothing goes on any more: what is missing then is missing.
fn wait_until_caught_up(crowd: &mut Crowd, plan: &Plan) -> Result<(), LoadError> {
    let until = Instant::now() + DRAIN;
    let mut heard = (crowd.counts.heard, Instant::now());
    while Instant::now() < until && heard.1.elapsed() < plan.patience {
        let mut members = (0..crowd.connections.len())
            .filter(|&number| matches!(crowd.connections[number].stage, Stage::Member));
        if unanswered(crowd) == 0 && members.all(|number| crowd.is_caught_up(number)) {
            return Ok(());
        }
        // The look at all members is dear; a few turns for each.
        let next_look = Instant::now() + Duration::from_millis(20);
        while Instant::now() < next_look {
            crowd.turn(next_look)?;
        }
        if crowd.counts.heard != heard.0 {
            heard = (crowd.counts.heard, Instant::now());
        }
    }
    Ok(())
}
