//! The phases of a run: join, settle, send, drain.

use std::time::{Duration, Instant};

use super::client_pool::ClientPool;
use super::connection::Stage;
use super::process::{MemoryPeak, Usage, Used, own_memory};
use super::report::Joining;
use super::schedule::SendLoop;
use super::{Findings, LoadError, Plan, Report, ServerUse, Times};

/// How long replies and events may take after the last message.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// How long stalled connections may read at the end.
const STALLED_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Cores above which the generator may measure itself instead of the server.
const MAX_GENERATOR_CPU: f64 = 0.9;

/// The delay above which the configured rate was not kept.
const MAX_LATENESS: Duration = Duration::from_millis(50);

/// The kernel counts CPU in ticks of 10 ms: below a hundred ticks the result is imprecise, below twenty meaningless.
const TICK: Duration = Duration::from_millis(10);

/// Executes the plan. Blocks until it is done and all connections are closed. Calls `measuring` at the start of the measured
/// time.
pub fn run(plan: &Plan, measuring: impl FnOnce()) -> Result<Report, LoadError> {
    plan.check()?;
    let memory = || plan.server_pid.and_then(own_memory);
    if plan.server_pid.is_some() && memory().is_none() {
        return Err(LoadError::Plan("the server's process cannot be measured".to_owned()));
    }
    let mut pool = ClientPool::new(plan)?;
    let memory_before = memory();
    let began = Instant::now();
    let joined = join(&mut pool, plan)?;
    pool.pause_reading()?;
    let caught_up = wait_until_caught_up(&mut pool, plan)?.then(|| began.elapsed().as_secs_f64());
    settle(&mut pool, plan)?;
    let memory_joined = memory();

    let mut send_loop = SendLoop::new(&pool, plan);
    send_loop.send_for(&mut pool, plan.warmup, &mut MemoryPeak::of(None))?;
    measuring();
    let (usage, mut peak) = (Usage::start(plan.server_pid), MemoryPeak::of(plan.server_pid));
    pool.counters.start_measuring(pool.micros());
    send_loop.send_for(&mut pool, plan.duration, &mut peak)?;
    pool.counters.stop_measuring(pool.micros());
    let used = usage.end();
    let memory_after = memory();
    wait_until_caught_up(&mut pool, plan)?;
    let unfinished = drain_stalled(&mut pool)?;

    let measured = &pool.counters.measured;
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
            per_second: f64::from(pool.joined) / joined.seconds.max(1e-6),
            generator_cpu_cores: joined.generator,
            server_cpu_cores: joined.server,
        },
        caught_up_seconds: caught_up,
        seconds: used.seconds,
        sent: pool.senders.iter().map(|sender| sender.sent()).sum(),
        acknowledged: pool.counters.acknowledged,
        acknowledged_by_second: measured.acknowledged.clone(),
        rejected: measured.rejected,
        unanswered: unanswered(&pool),
        deliveries: measured.deliveries,
        deliveries_per_second: measured.deliveries as f64 / used.seconds,
        deliveries_total: pool.counters.deliveries,
        latency_ms: Times::of(&measured.latency),
        completed: measured.complete.count(),
        complete_ms: Times::of(&measured.complete),
        acknowledge_ms: Times::of(&measured.acknowledge),
        late_ms: send_loop.late_us as f64 / 1000.0,
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
            / f64::from(pool.joined),
    });
    report.warnings = warnings(&joined, &used, &send_loop, unfinished);
    report.errors = std::mem::take(&mut pool.counters.errors);
    report.closed = std::mem::take(&mut pool.counters.closed);
    report.findings = findings(pool);
    Ok(report)
}

fn findings(pool: ClientPool) -> Findings {
    let is_alive: Vec<_> =
        pool.connections.iter().map(|connection| matches!(connection.stage, Stage::Member)).collect();
    let rooms_each = pool.rooms_each();
    let members = pool.members.iter().enumerate().map(|(at, member)| (member, is_alive[at / rooms_each]));
    let rooms: Vec<_> = pool.senders.iter().map(|sender| sender.room).collect();
    let mut findings = pool.checker.finish(members, |sender| rooms[sender as usize]);
    if let Some(channels) = pool.channels {
        channels.finish(&is_alive, &pool.senders, &mut findings);
    }
    findings
}

/// The reasons to doubt the measurements.
fn warnings(joined: &Used, used: &Used, send_loop: &SendLoop, unfinished: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if joined.generator > MAX_GENERATOR_CPU && joined.seconds > TICK.as_secs_f64() * 20.0 {
        warnings.push(format!(
            "the generator used {:.0} % of a core during the joins: it may have measured itself",
            joined.generator * 100.0
        ));
    }
    if used.generator > MAX_GENERATOR_CPU {
        warnings.push(format!(
            "the generator used {:.0} % of a core: it may have measured itself",
            used.generator * 100.0
        ));
    }
    if used.seconds < TICK.as_secs_f64() * 100.0 {
        warnings.push("less than a second was measured: the CPU figures are imprecise".to_owned());
    }
    if send_loop.late_us > MAX_LATENESS.as_micros() as u64 {
        warnings.push("the schedule was not kept: the generator had to wait for a core".to_owned());
    }
    if send_loop.skipped > 0 {
        warnings.push(format!("{} messages were due and could not be sent", send_loop.skipped));
    }
    if unfinished > 0 {
        warnings.push(format!(
            "{unfinished} stalled connections had not caught up after {} s",
            STALLED_DRAIN_TIMEOUT.as_secs()
        ));
    }
    warnings
}

fn unanswered(pool: &ClientPool) -> u64 {
    pool.senders.iter().filter(|sender| !sender.gone).map(|sender| u64::from(sender.unanswered)).sum()
}

/// Opens all connections, `plan.parallel` at a time.
fn join(pool: &mut ClientPool, plan: &Plan) -> Result<Used, LoadError> {
    let (started, all) = (Instant::now(), plan.all_connections());
    let usage = Usage::start(plan.server_pid);
    while pool.joined < all {
        while (pool.connections.len() as u32) < all.min(pool.joined + plan.parallel) {
            pool.connect_one(plan)?;
        }
        pool.poll_events(Instant::now() + Duration::from_millis(100))?;
        if pool.last_progress.elapsed() > plan.idle_timeout || started.elapsed() > DRAIN_TIMEOUT * 5 {
            return Err(LoadError::Stuck {
                joined: pool.joined,
                wanted: all,
                seconds: plan.idle_timeout.as_secs(),
            });
        }
    }
    Ok(usage.end())
}

/// Waits until the server's memory use has settled.
fn settle(pool: &mut ClientPool, plan: &Plan) -> Result<(), LoadError> {
    let until = Instant::now() + plan.settle;
    while Instant::now() < until {
        pool.poll_events(until)?;
    }
    wait_until_caught_up(pool, plan).map(drop)
}

/// Waits until all reading connections have every event and every reply. Returns `false` when there is no progress.
fn wait_until_caught_up(pool: &mut ClientPool, plan: &Plan) -> Result<bool, LoadError> {
    let until = Instant::now() + DRAIN_TIMEOUT;
    let mut received = (pool.counters.received, Instant::now());
    while Instant::now() < until && received.1.elapsed() < plan.idle_timeout {
        if unanswered(pool) == 0 && (0..pool.readers).all(|number| is_caught_up(pool, number)) {
            return Ok(true);
        }
        // Checking all members is expensive, so several polls share one check.
        let next_look = Instant::now() + Duration::from_millis(20);
        while Instant::now() < next_look {
            pool.poll_events(next_look)?;
        }
        if pool.counters.received != received.0 {
            received = (pool.counters.received, Instant::now());
        }
    }
    Ok(false)
}

/// Whether a connection has received everything. A closed one counts as caught up, because it is reported as closed.
fn is_caught_up(pool: &ClientPool, number: usize) -> bool {
    !matches!(pool.connections[number].stage, Stage::Member) || pool.is_caught_up(number)
}

/// Makes stalled connections read. Returns the number of those that have not caught up.
fn drain_stalled(pool: &mut ClientPool) -> Result<usize, LoadError> {
    let until = Instant::now() + STALLED_DRAIN_TIMEOUT;
    pool.resume_reading()?;
    let stalled = pool.readers..pool.connections.len();
    loop {
        let unfinished = stalled.clone().filter(|&number| !is_caught_up(pool, number)).count();
        if unfinished == 0 || Instant::now() >= until {
            return Ok(unfinished);
        }
        pool.poll_events(until.min(Instant::now() + Duration::from_millis(20)))?;
    }
}
