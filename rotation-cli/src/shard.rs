//! One of several runs that split the tenants among them, so that a CI matrix or an indexed job scales out over them.

use std::fmt;
use std::str::FromStr;

/// The `index`th of `of` runs, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// The tenants of this run: of all, in the order of their ids in lower case, every `of`th. The same wherever the same
    /// tenants are configured, in whatever order; together the runs have each tenant once.
    pub(crate) fn pick<T>(self, mut tenants: Vec<T>, id: impl Fn(&T) -> &str) -> Vec<T> {
        tenants.sort_by_cached_key(|tenant| id(tenant).to_lowercase());
        let mine = tenants.into_iter().skip(self.index - 1);
        mine.step_by(self.of).collect()
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok();
        let shard = text
            .split_once('/')
            .and_then(|(index, of)| Some((number(index)?, number(of)?)));
        match shard {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self { index, of }),
            Some((index, of)) => Err(format!(
                "there is no shard {index} of {of}, expected 1/{0} to {0}/{0}",
                of.max(1)
            )),
            None => Err("expected which of how many, such as 3/16".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_each_tenant_once_in_whatever_order_they_are_configured() {
        let tenants = ["d", "B", "a", "C", "e"];
        for of in 1..=7 {
            let shard = |index, tenants: Vec<&'static str>| {
                Shard { index, of }.pick(tenants, |tenant| tenant)
            };
            let mut all = Vec::new();
            for index in 1..=of {
                let mine = shard(index, tenants.to_vec());
                let reversed = tenants.iter().copied().rev().collect();
                assert_eq!(mine, shard(index, reversed), "{index}/{of}");
                all.extend(mine);
            }
            all.sort_by_key(|tenant| tenant.to_lowercase());
            assert_eq!(all, ["a", "B", "C", "d", "e"], "of {of}");
        }
        let second = Shard { index: 2, of: 3 };
        assert_eq!(second.pick(tenants.to_vec(), |tenant| tenant), ["B", "e"]);
    }

    #[test]
    fn a_shard_that_cannot_be_says_what_was_expected() {
        assert_eq!("3/16".parse(), Ok(Shard { index: 3, of: 16 }));
        for (text, expected) in [
            ("0/16", "no shard 0 of 16, expected 1/16 to 16/16"),
            ("17/16", "no shard 17 of 16, expected 1/16 to 16/16"),
            ("1/0", "no shard 1 of 0"),
            ("3", "such as 3/16"),
            ("a/b", "such as 3/16"),
            ("-1/2", "such as 3/16"),
            ("1/2/3", "such as 3/16"),
            ("", "such as 3/16"),
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
