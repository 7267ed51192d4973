//! A query with all that was known of its reader, by itself: whoever answers it reads nothing else of the reader.

use super::{Protocol, Query};
use crate::market::Past;
use crate::tables::Timestamp;
use crate::tables::spool::{take, take_text, take_varint, text, varint};
use freshrank::MerchantId;
use freshrank::context::LastEvent;
use freshrank::geo::Point;

/// A query, ready to be answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    pub user_id: String,
    pub protocol: Protocol,
    pub at: Timestamp,
    pub ordered_at: Timestamp,
    pub destination: Point,
    pub merchant: u32,
    pub label: MerchantId,
    pub n_before: usize,
    pub new_merchant: bool,
    /// As the engine reads it at an open.
    pub profile: Vec<u8>,
    /// The last one before the query that tells a place, where the query may know it.
    pub event: Option<LastEvent>,
    /// Of the last completed order before the query: when, and whether the label repeats its merchant.
    pub last: Option<(Timestamp, bool)>,
    /// All orders before the label, if somebody asks for them.
    pub past: Vec<Past>,
}

impl Scene {
    pub fn query(&self) -> Query<'_> {
        Query {
            protocol: self.protocol,
            user_id: &self.user_id,
            at: self.at,
            ordered_at: self.ordered_at,
            destination: self.destination,
            merchant: self.merchant,
            label: self.label,
            n_before: self.n_before,
            new_merchant: self.new_merchant,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(self.profile.len() + 96);
        let known_place = u8::from(self.protocol == Protocol::KnownPlace);
        let repeats = self.last.is_some_and(|(_, repeats)| repeats);
        let flags = [self.new_merchant, self.event.is_some(), self.last.is_some(), repeats];
        to.push(flags.iter().fold(known_place, |bits, flag| bits << 1 | u8::from(*flag)));
        text(&self.user_id, &mut to);
        [self.at, self.ordered_at].iter().for_each(|at| to.extend(at.to_le_bytes()));
        put_point(self.destination, &mut to);
        to.extend(self.merchant.to_le_bytes());
        to.extend(self.label.0.to_le_bytes());
        varint(self.n_before as u64, &mut to);
        varint(self.profile.len() as u64, &mut to);
        to.extend(&self.profile);
        if let Some(event) = &self.event {
            text(&event.kind, &mut to);
            put_point(event.point, &mut to);
            to.extend(event.at.to_le_bytes());
        }
        if let Some((at, _)) = self.last {
            to.extend(at.to_le_bytes());
        }
        varint(self.past.len() as u64, &mut to);
        for past in &self.past {
            // None of them is after the label.
            varint((self.ordered_at - past.at) as u64, &mut to);
            varint(past.merchant.into(), &mut to);
        }
        to
    }

    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let [flags] = take::<1>(from)?;
        let is = |bit: u8| flags >> bit & 1 == 1;
        let user_id = take_text(from)?.to_owned();
        let (at, ordered_at) = (time(from)?, time(from)?);
        let destination = point(from)?;
        let merchant = u32::from_le_bytes(take(from)?);
        let label = MerchantId(u64::from_le_bytes(take(from)?));
        let n_before = usize::try_from(take_varint(from)?).ok()?;
        let length = usize::try_from(take_varint(from)?).ok()?;
        let (profile, rest) = from.split_at_checked(length)?;
        let profile = profile.to_vec();
        *from = rest;
        let event = if is(2) {
            Some(LastEvent { kind: take_text(from)?.to_owned(), point: point(from)?, at: time(from)? })
        } else {
            None
        };
        let last = if is(1) { Some((time(from)?, is(0))) } else { None };
        let mut past = Vec::new();
        for _ in 0..take_varint(from)? {
            let before = i64::try_from(take_varint(from)?).ok()?;
            past.push(Past { at: ordered_at - before, merchant: u32::try_from(take_varint(from)?).ok()? });
        }
        let protocol = if is(4) { Protocol::KnownPlace } else { Protocol::SendTime };
        let new_merchant = is(3);
        from.is_empty().then_some(Self {
            user_id,
            protocol,
            at,
            ordered_at,
            destination,
            merchant,
            label,
            n_before,
            new_merchant,
            profile,
            event,
            last,
            past,
        })
    }
}

fn put_point(point: Point, to: &mut Vec<u8>) {
    [point.latitude(), point.longitude()].iter().for_each(|degrees| to.extend(degrees.to_le_bytes()));
}

fn point(from: &mut &[u8]) -> Option<Point> {
    Point::new(f64::from_le_bytes(take(from)?), f64::from_le_bytes(take(from)?))
}

fn time(from: &mut &[u8]) -> Option<Timestamp> {
    take(from).map(i64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_comes_back_as_it_was_and_no_part_of_it_does() {
        let at = |latitude| Point::new(latitude, -24.9).unwrap();
        let scene = Scene {
            user_id: "ä".into(),
            protocol: Protocol::KnownPlace,
            at: -7,
            ordered_at: 1_790_812_800,
            destination: at(60.1),
            merchant: 7,
            label: MerchantId(u64::MAX - 1),
            n_before: 300,
            new_merchant: true,
            profile: vec![1, 2, 3],
            event: Some(LastEvent { kind: "trip_end".into(), point: at(-60.0), at: 5 }),
            last: Some((3, true)),
            past: vec![Past { merchant: 9, at: 1 }, Past { merchant: 0, at: 1_790_812_800 }],
        };
        let bare = Scene { event: None, last: None, past: vec![], protocol: Protocol::SendTime, ..scene.clone() };
        for scene in [scene, bare] {
            let bytes = scene.encode();
            assert_eq!(Scene::decode(&bytes), Some(scene));
            assert!((0..bytes.len()).all(|end| Scene::decode(&bytes[..end]).is_none()));
        }
    }
}
