/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub(super) units: u32,
    pub(super) writes: u32,
}

impl Cost {
    /// A request that changes something: one write and one resource unit.
    pub const WRITE: Self = Self {
        units: 1,
        writes: 1,
    };
    /// The cheapest request that changes nothing: one resource unit.
    pub const READ: Self = Self {
        units: 1,
        writes: 0,
    };

    /// A request that changes nothing and costs so many resource units, at least one.
    pub fn read(units: u32) -> Self {
        Self {
            units: units.max(1),
            writes: 0,
        }
    }

    /// How many resource units, as `x-ms-resource-unit` says.
    pub fn units(self) -> u32 {
        self.units
    }
}
