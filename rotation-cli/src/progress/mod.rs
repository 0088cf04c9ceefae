//! How far a run is: lines that stay in place on a terminal, now and then a line elsewhere, and the same as events.

mod numbers;
mod pace;

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rotation_core::{AccountResult, EventKind, RateController, TenantId};
use tokio::time::Instant;

use crate::args::Common;
use crate::output::{self, accounts};
use crate::survey::Surveyed;
use numbers::Numbers;
use pace::Pace;

/// How often to look at the clock: a terminal shows how far it is by then.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A log that says something at least this often is known to be alive.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How many tenants have a line of their own.
const MOST_LINES: usize = 10;

/// How many characters of a name a terminal shows.
const MOST_OF_A_NAME: usize = 32;

/// How far the runs over all tenants are.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// When to say something next.
    due: Instant,
    /// By their places.
    tenants: BTreeMap<usize, Tenant>,
    pace: Pace,
    style: Style,
}

/// How far the run over one tenant is.
#[derive(Debug)]
struct Tenant {
    place: usize,
    id: TenantId,
    name: String,
    rate: Option<RateController>,
    phase: Phase,
    /// But for the rate.
    so_far: Numbers,
    pace: Pace,
    /// The limit that people were last told of.
    told_limit: Option<f64>,
    /// Whether they were told of a pause since the last line.
    told_pause: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    ToCome,
    UnderWay,
    Done,
}

#[derive(Debug)]
enum Style {
    Lines,
    Screen(&'static ProgressBar),
    Silent,
}

impl Progress {
    /// Runs over `tenants` begin.
    pub(crate) fn start(tenants: &[Surveyed], common: &Common) -> Self {
        let total: u64 = tenants.iter().map(|tenant| tenant.rotate).sum();
        let style = if common.quiet || total == 0 {
            Style::Silent
        } else if output::stderr_is_terminal() && common.verbose == 0 {
            Style::Screen(screen())
        } else {
            let of = match tenants {
                [tenant] => tenant.ready.tenant.name.clone(),
                _ => format!("{} tenants", tenants.len()),
            };
            output::note(&format!("{of}: rotating {}", accounts(total)));
            Style::Lines
        };
        let begun = Instant::now();
        Self {
            begun,
            due: begun + LINE_EVERY,
            tenants: tenants.iter().map(Tenant::to_come).collect(),
            pace: Pace::begin(Duration::ZERO),
            style,
        }
    }

    /// The run over the tenant at `place` begins.
    pub(crate) fn begin(&mut self, place: usize) {
        let now = self.begun.elapsed();
        if let Some(tenant) = self.tenants.get_mut(&place) {
            tenant.phase = Phase::UnderWay;
            tenant.pace = Pace::begin(now);
        }
    }

    /// An account of the tenant at `place` is done with.
    pub(crate) fn finished(&mut self, place: usize, result: &AccountResult) {
        let now = self.begun.elapsed();
        let Some(tenant) = self.tenants.get_mut(&place) else {
            return;
        };
        *match result {
            AccountResult::Rotated { .. } => &mut tenant.so_far.rotated,
            AccountResult::LeftToOther { .. } => &mut tenant.so_far.left,
            AccountResult::NotTried => return,
            _ => &mut tenant.so_far.failed,
        } += 1;
        tenant.pace.count(now);
        self.pace.count(now);
    }

    /// The directory asked those who rotate in the tenant at `place` to wait.
    pub(crate) fn paused(&mut self, place: usize, seconds: f64) {
        if let (Style::Lines, Some(tenant)) = (&self.style, self.tenants.get_mut(&place))
            && !tenant.told_pause
        {
            tenant.told_pause = true;
            let name = &tenant.name;
            output::note(&format!(
                "{name}: the directory asks to wait {seconds:.0} s"
            ));
        }
    }

    /// The run over the tenant at `place` is over.
    pub(crate) fn end(&mut self, place: usize) {
        if let Some(tenant) = self.tenants.get_mut(&place) {
            tenant.phase = Phase::Done;
            tenant.so_far.given_up = tenant.so_far.remaining();
            if let (Style::Lines, 1..) = (&self.style, tenant.so_far.of) {
                output::note(&format!("{}: {}", tenant.name, tenant.so_far.done()));
            }
        }
    }

    /// Time passes. Every now and then it gives what is to be told to programs, of each tenant under way.
    pub(crate) fn tick(&mut self) -> Vec<(TenantId, EventKind)> {
        let (instant, now) = (Instant::now(), self.begun.elapsed());
        if let Style::Screen(bar) = self.style {
            bar.set_message(self.page(now).join("\n"));
        }
        if instant < self.due {
            return Vec::new();
        }
        self.due = instant + LINE_EVERY;
        if let Style::Lines = self.style {
            self.tell(now);
        }
        let under_way = self
            .tenants
            .values_mut()
            .filter(|tenant| tenant.is_under_way());
        under_way
            .map(|tenant| (tenant.id.clone(), tenant.numbers(now).event()))
            .collect()
    }

    /// Everything is over.
    pub(crate) fn close(&self) {
        if let Style::Screen(bar) = self.style {
            bar.finish_and_clear();
        }
    }

    /// Says how far it is, and what is new.
    fn tell(&mut self, now: Duration) {
        if let [tenant] = self.tenants.values_mut().collect::<Vec<_>>().as_mut_slice() {
            let numbers = tenant.numbers(now);
            output::note(&format!("{}: {}", tenant.name, numbers.words()));
            tenant.told_pause = false;
            return;
        }
        let under_way = self
            .tenants
            .values_mut()
            .filter(|tenant| tenant.is_under_way());
        let news: Vec<_> = under_way.filter_map(|tenant| tenant.news(now)).collect();
        for line in news.iter().take(MOST_LINES) {
            output::note(line);
        }
        if let more @ 1.. = news.len().saturating_sub(MOST_LINES) {
            output::note(&format!("… and the like of {more} more tenants"));
        }
        let line = self.total(now);
        output::note(&line);
    }

    /// What a terminal shows now.
    fn page(&mut self, now: Duration) -> Vec<String> {
        let all: Vec<_> = self.tenants.values_mut().collect();
        let several = all.len() > 1;
        let mut under_way: Vec<_> = all
            .into_iter()
            .filter(|tenant| tenant.is_under_way())
            .map(|tenant| (tenant.place, tenant.short_name(), tenant.numbers(now)))
            .collect();
        let more = under_way.len().saturating_sub(MOST_LINES);
        // the busiest, then those with the longest way to go; in the order of the configuration
        under_way.sort_by(|(_, _, one), (_, _, other)| {
            let busier = other.per_second.total_cmp(&one.per_second);
            busier.then(other.remaining().cmp(&one.remaining()))
        });
        under_way.truncate(MOST_LINES);
        under_way.sort_by_key(|(place, ..)| *place);
        let width = under_way
            .iter()
            .map(|(_, name, _)| name.chars().count())
            .max();
        let width = width.unwrap_or_default();
        let mut page: Vec<_> = under_way
            .iter()
            .map(|(_, name, numbers)| {
                format!("{name:width$} {} {}", numbers.bar(), numbers.words())
            })
            .collect();
        if more > 0 {
            page.push(format!("… and {more} more"));
        }
        if several {
            page.push(self.total(now));
        }
        page
    }

    /// One line for all tenants.
    fn total(&mut self, now: Duration) -> String {
        let mut total = Numbers {
            per_second: self.pace.per_second(now),
            idle: self.pace.is_idle(now),
            ..Numbers::default()
        };
        let (mut under_way, mut done, mut paused) = (0, 0, 0);
        let mut slowest = Some(Duration::ZERO);
        for tenant in self.tenants.values_mut() {
            let numbers = tenant.numbers(now);
            total.of += numbers.of;
            total.rotated += numbers.rotated;
            total.failed += numbers.failed;
            total.left += numbers.left;
            total.given_up += numbers.given_up;
            match tenant.phase {
                Phase::ToCome => {}
                Phase::UnderWay => {
                    under_way += 1;
                    paused += usize::from(numbers.state.paused.is_some());
                    slowest = slowest.max(numbers.time_left());
                }
                Phase::Done => done += 1,
            }
        }
        // all take no less than the one that takes longest
        let left = total
            .time_left()
            .map(|left| slowest.map_or(left, |slowest| left.max(slowest)));
        let (words, going, all) = (total.done(), total.going(left), self.tenants.len());
        let paused = match paused {
            0 => String::new(),
            paused => format!(", {paused} of them paused"),
        };
        format!("{words}, {going}; {under_way} of {all} tenants under way{paused}, {done} done")
    }
}

impl Tenant {
    fn to_come(surveyed: &Surveyed) -> (usize, Self) {
        let tenant = &surveyed.ready.tenant;
        let so_far = Numbers {
            of: surveyed.rotate,
            ..Numbers::default()
        };
        let to_come = Self {
            place: tenant.place,
            id: surveyed.ready.caller.tenant.clone(),
            name: tenant.name.clone(),
            rate: surveyed.rate(),
            phase: Phase::ToCome,
            so_far,
            pace: Pace::begin(Duration::ZERO),
            told_limit: None,
            told_pause: false,
        };
        (tenant.place, to_come)
    }

    fn is_under_way(&self) -> bool {
        self.phase == Phase::UnderWay
    }

    fn numbers(&mut self, now: Duration) -> Numbers {
        Numbers {
            per_second: self.pace.per_second(now),
            idle: self.so_far.remaining() > 0 && self.pace.is_idle(now),
            state: self
                .rate
                .as_ref()
                .map(RateController::state)
                .unwrap_or_default(),
            ..self.so_far
        }
    }

    /// What is new since the last line: that nothing happens, or that the directory shows another limit.
    fn news(&mut self, now: Duration) -> Option<String> {
        let numbers = self.numbers(now);
        self.told_pause = false;
        let name = &self.name;
        if numbers.idle && numbers.state.paused.is_none() {
            return Some(format!("{name}: {}", numbers.going(None)));
        }
        let limit = numbers.state.limit?;
        let new = self
            .told_limit
            .is_none_or(|told| (limit - told).abs() > told / 5.0);
        self.told_limit = Some(limit).filter(|_| new).or(self.told_limit);
        new.then(|| format!("{name}: the directory bears {limit:.1} changes a second"))
    }

    fn short_name(&self) -> String {
        if self.name.chars().count() <= MOST_OF_A_NAME {
            return self.name.clone();
        }
        let start = self.name.chars().take(MOST_OF_A_NAME - 1);
        start.chain(['…']).collect()
    }
}

/// The lines at the lower end of the terminal, which notes are written above.
fn screen() -> &'static ProgressBar {
    let bar = output::screen();
    // a template without anything to get wrong
    bar.set_style(
        ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many tenants under way, each with 100 accounts more to go than the one before; and one to come and one done.
    fn progress(under_way: usize) -> Progress {
        let phases = (0..under_way).map(|_| Phase::UnderWay);
        let phases = phases.chain([Phase::ToCome, Phase::Done]);
        let tenants = phases.enumerate().map(|(place, phase)| {
            let of = 100 * (place as u64 + 1);
            let so_far = Numbers {
                of,
                rotated: 10,
                given_up: if phase == Phase::Done { of - 10 } else { 0 },
                ..Numbers::default()
            };
            let tenant = Tenant {
                place,
                id: TenantId::new("11111111-2222-3333-4444-555555555555"),
                name: format!("tenant{place:02}.example"),
                rate: None,
                phase,
                so_far,
                pace: Pace::begin(Duration::ZERO),
                told_limit: None,
                told_pause: false,
            };
            (place, tenant)
        });
        Progress {
            begun: Instant::now(),
            due: Instant::now(),
            tenants: tenants.collect(),
            pace: Pace::begin(Duration::ZERO),
            style: Style::Silent,
        }
    }

    #[test]
    fn a_terminal_shows_the_busiest_and_a_total() {
        let mut progress = progress(25);
        let second = Duration::from_secs(1);
        let busy = progress.tenants.get_mut(&3).unwrap();
        for _ in 0..20 {
            busy.pace.count(second);
            progress.pace.count(second);
        }
        let page = progress.page(second);
        let names: Vec<_> = page
            .iter()
            .take(10)
            .filter_map(|line| line.get(..8))
            .collect();
        let others = (16..25).map(|place| format!("tenant{place}"));
        let expected: Vec<_> = std::iter::once("tenant03".to_owned())
            .chain(others)
            .collect();
        assert_eq!(names, expected, "{page:#?}");
        assert_eq!(
            page.get(10).map(String::as_str),
            Some("… and 15 more"),
            "{page:#?}"
        );
        // 37,800 in all, of which the last tenant gave up 2,690
        let total =
            "270 of 37800 rotated, 20.0/s, about 29m 2s left; 25 of 27 tenants under way, 1 done";
        assert_eq!(page.get(11).map(String::as_str), Some(total), "{page:#?}");
        assert_eq!(page.len(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn programs_hear_of_tenants_under_way_every_ten_seconds() {
        let mut progress = progress(2);
        let mut told = Vec::new();
        for _ in 0..100 {
            tokio::time::advance(TICK).await;
            told.push(progress.tick().len());
        }
        let told: Vec<_> = told.into_iter().filter(|told| *told > 0).collect();
        assert_eq!(
            told,
            [2, 2, 2],
            "at the beginning, after 10 s and after 20 s"
        );
    }

    #[test]
    fn what_changes_is_news_once() {
        let mut progress = progress(1);
        let mut tenant = progress.tenants.remove(&0).unwrap();
        assert_eq!(tenant.news(Duration::from_secs(5)), None);
        let idle = tenant.news(Duration::from_secs(30)).unwrap();
        assert!(
            idle.starts_with("tenant00.example: 90 accounts to go, waiting for"),
            "{idle}"
        );
        let long = "a-domain-that-is-longer-than-any-line-should-be.example";
        tenant.name = long.to_owned();
        assert_eq!(tenant.short_name().chars().count(), MOST_OF_A_NAME);
    }
}
