//! Doubles that fail when told to, and conformance suites for implementations of the traits.

mod backend_suite;
mod memory_audit;
mod memory_backend;
mod memory_store;
mod set_fault;
mod store_fault;
mod store_image;
mod store_suite;
mod violation;

pub use backend_suite::{BackendHarness, backend_suite};
pub use memory_audit::MemoryAudit;
pub use memory_backend::MemoryBackend;
pub use memory_store::{MemoryStore, StoreCall};
pub use set_fault::SetFault;
pub use store_fault::{StoreFault, StoreOp};
pub use store_suite::{StoreHarness, store_suite};
pub use violation::Violation;
