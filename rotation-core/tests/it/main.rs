//! The promises of `rotation-core`, tested through its public interface only.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod audit;
mod capability_matrix;
mod drift;
mod engine;
mod generator_distribution;
mod generator_properties;
mod generator_rules;
mod hostile_plan;
mod leases;
mod least_role;
mod planner;
mod planner_lookups;
mod promises;
mod settling;
mod two_runs;
mod verification;
mod world;
mod zoo_backends;
mod zoo_stores;
