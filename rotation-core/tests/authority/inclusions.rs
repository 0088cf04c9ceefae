//! Strict within documented, documented within what the directory accepts, and nothing refused that would have been accepted.

use rotation_core::RuleSet;

use crate::beforehand::decide;
use crate::positions::{COMBINATIONS, DOCUMENTED, POSITIONS, set_all};
use crate::tally::{Cells, Tally};
use crate::walk::pairs;

/// 400 pairs each.
const DIRECTORIES: u64 = 1_000;

#[test]
fn strict_is_within_documented_and_documented_is_what_the_directory_accepts() {
    let (mut strictly, mut as_documented) = (Tally::default(), Tally::default());
    let (mut count, mut accepted, mut cells) = (0, 0, Cells::default());
    pairs(0..DIRECTORIES, |pair, authority| {
        let strict = decide(pair.caller, pair.account, RuleSet::Strict);
        let documented = decide(pair.caller, pair.account, RuleSet::Documented);
        let judged = pair.ask(authority);
        let agree = documented.is_ok() == judged.is_ok() && (strict.is_err() || documented.is_ok());
        assert!(
            agree,
            "strict {strict:?}, documented {documented:?}, but {judged:?}: {}",
            pair.tell()
        );
        if documented == Err("restricted unit") {
            let message = judged.as_ref().unwrap_err();
            assert!(message.contains("restricted management"), "{message}");
        }
        cells.add(pair.caller, pair.account, judged.is_ok());
        accepted += u64::from(judged.is_ok());
        strictly.add(strict);
        as_documented.add(documented);
        count += 1;
    });
    assert!(count >= 100_000, "{count} pairs");
    strictly.assert_whole();
    as_documented.assert_whole();
    println!(
        "{count} pairs of caller and account, capabilities: the directory accepts {accepted}; strict: {strictly}; documented: \
         {as_documented}; each of {} cells met by itself",
        cells.assert_whole()
    );
}

#[test]
fn strict_allows_nothing_that_any_reading_of_microsoft_refuses() {
    let mut asked = 0_u64;
    pairs(0..DIRECTORIES, |pair, authority| {
        if decide(pair.caller, pair.account, RuleSet::Strict).is_err() {
            return;
        }
        for combination in 0..COMBINATIONS {
            authority.switches(|switches| set_all(switches, combination));
            let judged = pair.ask(authority);
            assert!(
                judged.is_ok(),
                "combination {combination:b}: {}",
                pair.tell()
            );
            asked += 1;
        }
    });
    assert!(asked > 0);
    println!(
        "{asked} capabilities by strict hold under each of {COMBINATIONS} readings of what Microsoft leaves open"
    );
}

#[test]
fn each_open_question_changes_exactly_what_its_switch_says() {
    for position in POSITIONS {
        let (mut more, mut fewer) = (0, 0);
        pairs(0..DIRECTORIES / 4, |pair, authority| {
            authority.switches(|switches| {
                set_all(switches, DOCUMENTED);
                (position.switch)(switches);
            });
            let documented = decide(pair.caller, pair.account, RuleSet::Documented).is_ok();
            let (foretold, judged) = ((position.accepted)(pair), pair.ask(authority));
            assert_eq!(
                foretold,
                judged.is_ok(),
                "{}: {}",
                position.name,
                pair.tell()
            );
            more += u64::from(judged.is_ok() && !documented);
            fewer += u64::from(judged.is_err() && documented);
        });
        assert_eq!(fewer == 0, position.documented_holds, "{}", position.name);
        assert!(more + fewer > 0, "{} changes nothing", position.name);
        println!(
            "{}: {more} pairs accepted more, {fewer} fewer",
            position.name
        );
    }
}
