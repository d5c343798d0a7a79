//! The phases of a run.

use std::time::{Duration, Instant};

use super::connection::Stage;
use super::crowd::Crowd;
use super::pace::Pace;
use super::process::{MemoryPeak, Usage, Used, own_memory};
use super::report::Joining;
use super::{Findings, LoadError, Plan, Report, ServerUse, Times};

/// How long what was sent may take to be answered and heard.
const DRAIN: Duration = Duration::from_secs(120);

/// How long those who stalled are listened to when they read again.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// A generator that has no core's time left measures itself.
const BUSY: f64 = 0.9;

/// Later than this, a message was not sent at the rate that was asked for.
const LATE: Duration = Duration::from_millis(50);

/// The kernel counts CPU in ticks of 10 ms: a time of fewer than a hundred says little of it, one of twenty nothing.
const TICK: Duration = Duration::from_millis(10);

/// Carries out the plan. Blocks until it is done; the connections end with it. `measuring` is called when the measured time
/// begins.
pub fn run(plan: &Plan, measuring: impl FnOnce()) -> Result<Report, LoadError> {
    plan.check()?;
    let memory = || plan.server_pid.and_then(own_memory);
    if plan.server_pid.is_some() && memory().is_none() {
        return Err(LoadError::Plan("the server's process cannot be looked at".to_owned()));
    }
    let mut crowd = Crowd::new(plan)?;
    let memory_before = memory();
    let began = Instant::now();
    let joined = join(&mut crowd, plan)?;
    crowd.stall()?;
    let caught_up = wait_until_caught_up(&mut crowd, plan)?.then(|| began.elapsed().as_secs_f64());
    settle(&mut crowd, plan)?;
    let memory_joined = memory();

    let mut pace = Pace::new(&crowd, plan);
    pace.send_for(&mut crowd, plan.warmup, &mut MemoryPeak::of(None))?;
    measuring();
    let (usage, mut peak) = (Usage::begin(plan.server_pid), MemoryPeak::of(plan.server_pid));
    crowd.tally.begin_to_measure(crowd.micros());
    pace.send_for(&mut crowd, plan.duration, &mut peak)?;
    crowd.tally.end_to_measure(crowd.micros());
    let used = usage.end();
    let memory_after = memory();
    wait_until_caught_up(&mut crowd, plan)?;
    let behind = listen_to_the_stalled(&mut crowd)?;

    let measured = &crowd.tally.measured;
    let mut report = Report {
        connections: plan.connections,
        stalled: plan.stalled,
        rooms: plan.rooms,
        rooms_each: plan.rooms_each,
        senders: plan.senders,
        body_bytes: plan.body,
        connect_seconds: joined.seconds,
        joining: Joining {
            seconds: joined.seconds,
            per_second: f64::from(crowd.joined) / joined.seconds.max(1e-6),
            generator_cpu_cores: joined.generator,
            server_cpu_cores: joined.server,
        },
        caught_up_seconds: caught_up,
        seconds: used.seconds,
        sent: crowd.senders.iter().map(|sender| sender.sent()).sum(),
        acknowledged: crowd.tally.acknowledged,
        acknowledged_by_second: measured.acknowledged.clone(),
        refused: measured.refused,
        unanswered: unanswered(&crowd),
        deliveries: measured.deliveries,
        deliveries_per_second: measured.deliveries as f64 / used.seconds,
        deliveries_in_all: crowd.tally.deliveries,
        latency_ms: Times::of(&measured.latency),
        completed: measured.complete.count(),
        complete_ms: Times::of(&measured.complete),
        acknowledge_ms: Times::of(&measured.acknowledge),
        late_ms: pace.late_us as f64 / 1000.0,
        generator_cpu_cores: used.generator,
        ..Report::default()
    };
    report.server = used.server.map(|cpu_cores| ServerUse {
        cpu_cores,
        cpu_us_per_delivery: (measured.deliveries > 0)
            .then(|| cpu_cores * used.seconds * 1e6 / measured.deliveries as f64),
        memory_before: memory_before.unwrap_or(0),
        memory_joined: memory_joined.unwrap_or(0),
        memory_after: memory_after.unwrap_or(0),
        memory_peak: peak.bytes().max(memory_after.unwrap_or(0)),
        memory_per_connection: (memory_joined.unwrap_or(0) as f64 - memory_before.unwrap_or(0) as f64)
            / f64::from(crowd.joined),
    });
    report.warnings = warnings(&joined, &used, &pace, behind);
    report.errors = std::mem::take(&mut crowd.tally.errors);
    report.closed = std::mem::take(&mut crowd.tally.closed);
    report.findings = verdict(crowd);
    Ok(report)
}

/// What the promises say to all that was heard.
fn verdict(crowd: Crowd) -> Findings {
    let lived: Vec<_> =
        crowd.connections.iter().map(|connection| matches!(connection.stage, Stage::Member)).collect();
    let rooms_each = crowd.rooms_each();
    let members = crowd.members.iter().enumerate().map(|(at, member)| (member, lived[at / rooms_each]));
    let rooms: Vec<_> = crowd.senders.iter().map(|sender| sender.room).collect();
    let mut findings = crowd.checker.finish(members, |sender| rooms[sender as usize]);
    if let Some(halls) = crowd.halls {
        halls.finish(&lived, &crowd.senders, &mut findings);
    }
    findings
}

/// What makes the figures doubtful.
fn warnings(joined: &Used, used: &Used, pace: &Pace, behind: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if joined.generator > BUSY && joined.seconds > TICK.as_secs_f64() * 20.0 {
        warnings.push(format!(
            "the generator used {:.0} % of a core while all joined: it may have measured itself",
            joined.generator * 100.0
        ));
    }
    if used.generator > BUSY {
        warnings.push(format!(
            "the generator used {:.0} % of a core: it may have measured itself",
            used.generator * 100.0
        ));
    }
    if used.seconds < TICK.as_secs_f64() * 100.0 {
        warnings.push("less than a second was measured: its CPU is a guess".to_owned());
    }
    if pace.late_us > LATE.as_micros() as u64 {
        warnings.push("the schedule was not kept: the generator had to wait for a core".to_owned());
    }
    if pace.skipped > 0 {
        warnings.push(format!("{} messages were due and could not be sent", pace.skipped));
    }
    if behind > 0 {
        warnings.push(format!(
            "{behind} who stalled read again and had not caught up after {} s",
            LISTEN_AGAIN.as_secs()
        ));
    }
    warnings
}

fn unanswered(crowd: &Crowd) -> u64 {
    crowd.senders.iter().filter(|sender| !sender.gone).map(|sender| u64::from(sender.unanswered)).sum()
}

/// Connects all, so many at a time.
fn join(crowd: &mut Crowd, plan: &Plan) -> Result<Used, LoadError> {
    let (begun, all) = (Instant::now(), plan.all_connections());
    let usage = Usage::begin(plan.server_pid);
    while crowd.joined < all {
        while (crowd.connections.len() as u32) < all.min(crowd.joined + plan.parallel) {
            crowd.connect_one(plan)?;
        }
        crowd.turn(Instant::now() + Duration::from_millis(100))?;
        if crowd.last_progress.elapsed() > plan.patience || begun.elapsed() > DRAIN * 5 {
            return Err(LoadError::Stuck {
                joined: crowd.joined,
                wanted: all,
                seconds: plan.patience.as_secs(),
            });
        }
    }
    Ok(usage.end())
}

/// A moment for the server to come to rest.
fn settle(crowd: &mut Crowd, plan: &Plan) -> Result<(), LoadError> {
    let until = Instant::now() + plan.settle;
    while Instant::now() < until {
        crowd.turn(until)?;
    }
    wait_until_caught_up(crowd, plan).map(drop)
}

/// Until all who read have heard all and are answered (true), or nothing goes on any more: what is missing then is missing.
fn wait_until_caught_up(crowd: &mut Crowd, plan: &Plan) -> Result<bool, LoadError> {
    let until = Instant::now() + DRAIN;
    let mut heard = (crowd.tally.heard, Instant::now());
    while Instant::now() < until && heard.1.elapsed() < plan.patience {
        if unanswered(crowd) == 0 && (0..crowd.readers).all(|number| is_caught_up(crowd, number)) {
            return Ok(true);
        }
        // The look at all members is dear; a few turns for each.
        let next_look = Instant::now() + Duration::from_millis(20);
        while Instant::now() < next_look {
            crowd.turn(next_look)?;
        }
        if crowd.tally.heard != heard.0 {
            heard = (crowd.tally.heard, Instant::now());
        }
    }
    Ok(false)
}

/// Whoever is gone waits for nothing.
fn is_caught_up(crowd: &Crowd, number: usize) -> bool {
    !matches!(crowd.connections[number].stage, Stage::Member) || crowd.is_caught_up(number)
}

/// Lets those who stalled read what is there: how many had not caught up in the end.
fn listen_to_the_stalled(crowd: &mut Crowd) -> Result<usize, LoadError> {
    let until = Instant::now() + LISTEN_AGAIN;
    crowd.listen_again()?;
    let stalled = crowd.readers..crowd.connections.len();
    loop {
        let behind = stalled.clone().filter(|&number| !is_caught_up(crowd, number)).count();
        if behind == 0 || Instant::now() >= until {
            return Ok(behind);
        }
        crowd.turn(until.min(Instant::now() + Duration::from_millis(20)))?;
    }
}
