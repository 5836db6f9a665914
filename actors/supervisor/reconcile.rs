//! What to do so that those who run are those who are wanted.

use std::{collections::HashMap, hash::Hash};

/// The difference between what runs and what is wanted.
#[derive(Debug, Eq, PartialEq)]
pub struct Plan<Id> {
    /// Are wanted and do not run.
    pub start: Vec<Id>,
    /// Run by another definition than is wanted.
    pub replace: Vec<Id>,
    /// Run and are not wanted.
    pub stop: Vec<Id>,
}

/// Compares what runs with what is wanted. An unchanged definition is left alone.
pub fn reconcile<'a, Id: Copy + Eq + Hash, Definition: PartialEq + 'a>(
    running: impl Iterator<Item = (Id, &'a Definition)>,
    wanted: impl Iterator<Item = (Id, &'a Definition)>,
) -> Plan<Id> {
    let mut wanted: HashMap<Id, &Definition> = wanted.collect();
    let mut plan = Plan { start: Vec::new(), replace: Vec::new(), stop: Vec::new() };
    for (id, definition) in running {
        match wanted.remove(&id) {
            None => plan.stop.push(id),
            Some(new) if new != definition => plan.replace.push(id),
            Some(_) => {}
        }
    }
    plan.start.extend(wanted.into_keys());
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    type World = HashMap<u8, u8>;

    fn plan(running: &World, wanted: &World) -> Plan<u8> {
        let pairs = |world: &World| world.clone().into_iter().collect::<Vec<_>>();
        let (running, wanted) = (pairs(running), pairs(wanted));
        reconcile(running.iter().map(|(id, d)| (*id, d)), wanted.iter().map(|(id, d)| (*id, d)))
    }

    proptest::proptest! {
        #[test]
        fn carrying_out_the_plan_gives_what_is_wanted_and_then_nothing_is_left_to_do(
            running: World, wanted: World,
        ) {
            let first = plan(&running, &wanted);
            let mut world = running;
            for id in first.stop {
                proptest::prop_assert!(world.remove(&id).is_some());
            }
            for id in first.start {
                proptest::prop_assert!(world.insert(id, wanted[&id]).is_none());
            }
            for id in first.replace {
                proptest::prop_assert!(world.insert(id, wanted[&id]).is_some_and(|old| old != wanted[&id]));
            }
            proptest::prop_assert_eq!(&world, &wanted);
            let second = plan(&world, &wanted);
            proptest::prop_assert!(second.start.is_empty() && second.replace.is_empty() && second.stop.is_empty());
        }
    }
}
