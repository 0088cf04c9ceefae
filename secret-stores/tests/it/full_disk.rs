//! A disk that is full, and a write that fails: an error that says so, nothing lost of what was answered, and the store
//! goes on once there is space again.
