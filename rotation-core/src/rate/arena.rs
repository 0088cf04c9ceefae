use std::marker::PhantomData;

/// Things that stay, each with an id.
#[derive(Debug)]
pub(super) struct Arena<T>(Vec<T>);

/// The id of a thing in an arena.
#[derive(Debug)]
pub(super) struct Id<T>(usize, PhantomData<fn() -> T>);

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Arena<T> {
    pub(super) fn add(&mut self, thing: T) -> Id<T> {
        self.0.push(thing);
        Id(self.0.len() - 1, PhantomData)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    #[expect(clippy::indexing_slicing, reason = "nothing is ever taken out")]
    pub(super) fn at(&mut self, id: Id<T>) -> &mut T {
        &mut self.0[id.0]
    }
}
