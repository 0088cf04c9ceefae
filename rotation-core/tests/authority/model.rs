//! A directory in the words of this test, from which both sides are told. People and units are named by their position.

use uuid::Uuid;

/// A role in somebody's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) role: Uuid,
    pub(crate) unit: Option<usize>,
    pub(crate) eligible: bool,
}

/// A user.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) roles: Vec<Held>,
    /// The delegated permissions of the app that they sign in to.
    pub(crate) permissions: Vec<&'static str>,
}

/// An application on its own.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) roles: Vec<Held>,
    pub(crate) permissions: Vec<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) role_assignable: bool,
    pub(crate) members: Vec<usize>,
    pub(crate) owners: Vec<usize>,
    pub(crate) eligible_members: Vec<usize>,
    pub(crate) eligible_owners: Vec<usize>,
    pub(crate) roles: Vec<Held>,
}

#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) restricted: bool,
    pub(crate) members: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) people: Vec<Person>,
    pub(crate) apps: Vec<App>,
    pub(crate) groups: Vec<Group>,
    pub(crate) units: Vec<Unit>,
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    App(usize),
    Person(usize),
}

impl Directory {
    /// Every app, and the first people.
    pub(crate) fn callers(&self, people: usize) -> impl Iterator<Item = Caller> {
        let apps = (0..self.apps.len()).map(Caller::App);
        apps.chain((0..people.min(self.people.len())).map(Caller::Person))
    }
}
