//! A plan file is hostile until parsed.

use std::io::BufReader;

use proptest::prelude::*;
use rotation_core::{
    Account, AccountId, AccountKey, AccountKind, AssignmentState, Decision, Denial, Due, Holdings,
    PlanEntry, PlanError, PlanHeader, PlanTenant, PlanWriter, Planned, Policy, ReviewedPlan,
    RoleId, SkipReason, TenantId,
};

fn tenants() -> Vec<PlanTenant> {
    vec![PlanTenant {
        tenant: TenantId::new("contoso"),
        caller: AccountId::new("app"),
    }]
}

fn written(accounts: usize) -> String {
    let header = PlanHeader::new(
        "2026-11-21T00:00:00Z".parse().unwrap(),
        Policy::default().fingerprint(),
        tenants(),
    );
    let mut writer = PlanWriter::new(Vec::new(), &header).unwrap();
    for number in 0..accounts {
        let account = Account::new(
            AccountId::new(&number.to_string()),
            format!("o'neil \"{number}\"@contoso.com"),
        )
        .holding(Holdings::default());
        let decision = if number % 2 == 0 {
            Decision::Rotate {
                due: Due::NeverChanged,
                by: RoleId::USER_ADMINISTRATOR,
            }
        } else {
            Decision::Skip {
                why: SkipReason::Excluded { by: "*".to_owned() },
            }
        };
        writer
            .entry(&PlanEntry::new(
                TenantId::new("contoso"),
                &Planned::new(account, decision),
            ))
            .unwrap();
    }
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

fn read(text: &str) -> Result<ReviewedPlan, PlanError> {
    ReviewedPlan::read(BufReader::new(text.as_bytes()))
}

fn key(number: usize) -> AccountKey {
    AccountKey {
        tenant: TenantId::new("contoso"),
        account: AccountId::new(&number.to_string()),
    }
}

#[test]
fn a_plan_is_one_json_document_that_reads_back() {
    for accounts in [0, 1, 2, 50] {
        let text = written(accounts);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["accounts"].as_array().unwrap().len(), accounts);
        let plan = read(&text).unwrap();
        assert_eq!(plan.rotations(), accounts.div_ceil(2));
        for number in 0..accounts {
            assert_eq!(plan.rotates(&key(number)), number % 2 == 0);
        }
    }
}

/// One of each.
fn every_decision() -> Vec<Decision> {
    let at = "2026-11-21T00:00:00Z".parse().unwrap();
    let role = RoleId::GLOBAL_ADMINISTRATOR;
    let denials = [
        Denial::DirectoryUnreadable,
        Denial::ManagementRestricted,
        Denial::NoRole { eligible: None },
        Denial::NoRole {
            eligible: Some(role),
        },
        Denial::OutOfScope,
        Denial::RoleAssignableGroup,
        Denial::RolesUnknown,
        Denial::TargetRole {
            role,
            state: AssignmentState::Eligible,
        },
    ];
    let skips = [
        SkipReason::BeyondMaximum { max: 1 },
        SkipReason::BeyondTenantMaximum { max: 1 },
        SkipReason::BreakGlass,
        SkipReason::Disabled,
        SkipReason::Excluded {
            by: "role:Global Reader".to_owned(),
        },
        SkipReason::Kind {
            kind: AccountKind::Guest,
        },
        SkipReason::NeverChanged,
        SkipReason::NotDue { due_at: at },
        SkipReason::NotIncluded,
        SkipReason::NotReviewed,
        SkipReason::OwnAccount,
        SkipReason::SyncService,
        SkipReason::UnknownAge,
    ];
    let dues = [
        Due::NeverChanged,
        Due::TooOld { changed: at },
        Due::UnknownAge,
        Due::Unsettled,
    ];
    let denials = denials.map(|because| Decision::Deny { because });
    let skips = skips.map(|why| Decision::Skip { why });
    let dues = dues.map(|due| Decision::Rotate { due, by: role });
    denials.into_iter().chain(skips).chain(dues).collect()
}

#[test]
fn every_decision_reads_back_as_it_was_written() {
    let header = PlanHeader::new(
        "2026-11-21T00:00:00Z".parse().unwrap(),
        String::new(),
        tenants(),
    );
    for decision in every_decision() {
        let account =
            Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
        let entry = PlanEntry::new(
            TenantId::new("contoso"),
            &Planned::new(account, decision.clone()),
        );
        let json = serde_json::to_string(&entry).unwrap();
        let read: PlanEntry =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(read.decision, decision, "{json}");
        let mut writer = PlanWriter::new(Vec::new(), &header).unwrap();
        writer.entry(&entry).unwrap();
        let plan = ReviewedPlan::read(writer.finish().unwrap().as_slice()).unwrap();
        assert_eq!(
            plan.rotations(),
            usize::from(matches!(decision, Decision::Rotate { .. }))
        );
    }
}

#[test]
fn a_plan_for_another_tenant_caller_or_policy_is_refused() {
    let plan = read(&written(2)).unwrap();
    let policy = Policy::default().fingerprint();
    assert!(plan.check(&policy, &tenants()).is_ok());
    let other_policy = Policy {
        canary: 1,
        ..Policy::default()
    }
    .fingerprint();
    assert!(matches!(
        plan.check(&other_policy, &tenants()),
        Err(PlanError::Mismatch { .. })
    ));
    let mut other = tenants();
    other[0].tenant = TenantId::new("fabrikam");
    let error = plan.check(&policy, &other).unwrap_err().to_string();
    assert!(
        error.contains("contoso") && error.contains("fabrikam"),
        "{error}"
    );
    other[0] = PlanTenant {
        caller: AccountId::new("other"),
        ..tenants().remove(0)
    };
    assert!(plan.check(&policy, &other).is_err());
}

#[test]
fn every_single_byte_changed_or_cut_is_noticed() {
    let text = written(3);
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = match changed[at] {
            b'0'..=b'8' => changed[at] + 1,
            b'x' => b'y',
            _ => b'x',
        };
        assert!(
            ReviewedPlan::read(BufReader::new(changed.as_slice())).is_err(),
            "byte {at}: {}",
            &text[at..]
        );
        if at < text.len() - 1 {
            assert!(read(&text[..at]).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn the_line_that_was_edited_is_named() {
    let text = written(3).replace("\"decision\":\"skip\"", "\"decision\":\"rotten\"");
    let error = read(&text).unwrap_err().to_string();
    assert!(error.starts_with("line 3: "), "{error}");
    let moved = written(2) + "{}\n";
    assert!(
        read(&moved)
            .unwrap_err()
            .to_string()
            .contains("follows the end")
    );
}

#[test]
fn a_plan_may_be_for_thousands_of_tenants() {
    let tenant = |n: u32| PlanTenant {
        tenant: TenantId::new(&format!("{n:036}")),
        caller: AccountId::new(&format!("{n:036}")),
    };
    let tenants: Vec<_> = (0..5000).map(tenant).collect();
    let header = PlanHeader::new(
        "2026-11-21T00:00:00Z".parse().unwrap(),
        String::new(),
        tenants.clone(),
    );
    let text = PlanWriter::new(Vec::new(), &header)
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(
        ReviewedPlan::read(text.as_slice())
            .unwrap()
            .header()
            .tenants,
        tenants
    );
}

#[test]
fn what_is_no_plan_is_said_to_be_none() {
    for text in [
        "",
        "{}",
        "[]",
        "<html>",
        "{\"format\":\"rotation-plan\",\"version\":1}",
        "\u{0}\u{0}",
    ] {
        assert!(
            matches!(read(text), Err(PlanError::Unreadable(_))),
            "{text:?}"
        );
    }
    let newer = written(0).replacen("\"version\":1", "\"version\":2", 1);
    assert!(
        read(&newer)
            .unwrap_err()
            .to_string()
            .contains("version 2, expected 1")
    );
    let endless = "x".repeat(1 << 21);
    assert!(matches!(read(&endless), Err(PlanError::Unreadable(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(ReviewedPlan::read(BufReader::new(bytes.as_slice())).is_err());
    }
}
