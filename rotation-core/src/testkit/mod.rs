//! Doubles that fail when told to, and conformance suites for implementations of the traits.

mod memory_store;
mod store_fault;

pub use memory_store::{MemoryStore, StoreCall};
pub use store_fault::{StoreFault, StoreOp};
