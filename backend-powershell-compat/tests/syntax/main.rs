//! Every line of PowerShell that we run, print or show parses, and names only cmdlets and parameters that exist.
//!
//! There is no PowerShell here: the grammar is tree-sitter's, of PowerShell 5.1, and what exists is in `cmdlets/`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]

mod bait;
mod call;
mod check;
mod cmdlets;
mod injection;
mod names;
mod script;
mod sources;
#[path = "../pwsh/stubs.rs"]
#[allow(dead_code, reason = "they are installed elsewhere")]
mod stubs;

use backend_powershell_compat::script::Module;
use check::mistakes;
use cmdlets::Cmdlets;
use names::Names;

/// Fails with all mistakes of all scripts, each with its script and line.
fn assert_clean(scripts: &[(String, String)], names: &Names) {
    let cmdlets = Cmdlets::read();
    let mut found = String::new();
    for (place, script) in scripts {
        for mistake in mistakes(script, &cmdlets, names) {
            found.push_str(&format!("{place}: {mistake}\n"));
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn every_script_that_is_part_of_the_program_names_only_what_exists() {
    let scripts = sources::of_the_program();
    // Those that are emitted are there in parts, of which the values are one.
    let emitted = sources::emitted();
    let names = Names::of(emitted.iter().map(|(_, script)| script.as_str()));
    let (parts, whole): (Vec<_>, Vec<_>) = scripts
        .into_iter()
        .partition(|(place, _)| place.starts_with("src/script/"));
    assert_clean(&parts, &names);
    // A dialect leaves out functions for which it is never asked.
    let names = Names::of(whole.iter().map(|(_, script)| script.as_str()));
    assert_clean(&whole, &names.functions());
    let count = parts.len() + whole.len();
    println!("{count} scripts of the program name only what exists");
    assert!(parts.len() >= 5);
}

#[test]
fn every_script_of_the_tests_names_only_what_exists() {
    assert_clean(&sources::scripts_below("tests"), &Names::default());
}

#[test]
fn every_emitted_script_names_only_what_exists() {
    let scripts = sources::emitted();
    assert_clean(&scripts, &Names::default());
    println!("{} emitted scripts name only what exists", scripts.len());
    assert!(scripts.len() >= 4 * Module::ALL.len());
}

#[test]
fn every_script_in_the_documents_names_only_what_exists() {
    let blocks = sources::documents();
    assert_clean(&blocks, &Names::default());
    println!(
        "{} scripts in documents name only what exists",
        blocks.len()
    );
    assert!(!blocks.is_empty());
}

#[test]
fn the_stubs_of_modules_name_only_what_exists() {
    for stubs in [stubs::GRANTS, stubs::GRAPH, stubs::ENTRA] {
        assert_clean(&[("stubs".to_owned(), stubs.module())], &Names::default());
    }
}

#[test]
fn the_table_of_cmdlets_is_well_formed_and_names_its_sources() {
    let cmdlets = Cmdlets::read();
    cmdlets.assert_well_formed();
    println!("{} cmdlets are known", cmdlets.len());
}
