//! The contract's columns, once: reading, checking and writing all walk these lists.

use std::borrow::Cow;

use super::{Event, Kind, Merchant, Offer, Order, Place, Reader, Status, Timestamp};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Any text.
    Text,
    /// 64-bit real number.
    Real,
    /// 32-bit real number.
    Single,
    /// Whole number from 0 on.
    Count,
    /// True or false.
    Flag,
    /// A moment, to the second.
    Time,
    /// A list of labels.
    Labels,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Absent,
    Text(Cow<'a, str>),
    Real(f64),
    Single(f32),
    Count(u32),
    Flag(bool),
    Time(Timestamp),
    Labels(Vec<String>),
}

/// What a table cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The column, and a value in every row.
    Value,
    /// The column; a row may be empty there.
    Column,
    /// Nothing.
    Nothing,
}

/// Which values make sense; all numbers must be finite.
#[derive(Debug, Clone, Copy)]
pub enum Limits {
    Any,
    Within(f64, f64),
    Above(f64, f64),
    OneOf(&'static [&'static str]),
    Country,
}

/// One column of a table whose rows are `R`.
pub struct Column<R: 'static> {
    pub name: &'static str,
    pub kind: Type,
    pub need: Need,
    pub limits: Limits,
    pub get: fn(&R) -> Value<'_>,
    /// False when the field's type cannot hold the value.
    pub set: fn(&mut R, Value<'_>) -> bool,
}

/// A row of one of the six tables.
pub trait Row: Default + 'static {
    /// The file's name without its ending.
    const TABLE: &'static str;
    const COLUMNS: &'static [Column<Self>];
}

/// A Rust type that a cell can be.
trait Field: Sized {
    const TYPE: Type;
    fn value(&self) -> Value<'_>;
    fn from_value(value: Value<'_>) -> Option<Self>;
}

macro_rules! fields {
    ($($type:ty, $kind:ident, $get:expr, $set:expr;)*) => {$(
        impl Field for $type {
            const TYPE: Type = Type::$kind;
            fn value(&self) -> Value<'_> {
                let get: fn(&Self) -> _ = $get;
                Value::$kind(get(self))
            }
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::$kind(value) => ($set)(value),
                    _ => None,
                }
            }
        }
    )*};
}

fields! {
    f64, Real, |v| *v, Some;
    f32, Single, |v| *v, Some;
    u32, Count, |v| *v, Some;
    u8, Count, |v| u32::from(*v), |v: u32| u8::try_from(v).ok();
    bool, Flag, |v| *v, Some;
    Timestamp, Time, |v| *v, Some;
    Vec<String>, Labels, |v| v.clone(), Some;
}

macro_rules! texts {
    ($($type:ty, $get:expr, $set:expr;)*) => {$(
        impl Field for $type {
            const TYPE: Type = Type::Text;
            fn value(&self) -> Value<'_> {
                let get: fn(&Self) -> &str = $get;
                Value::Text(Cow::Borrowed(get(self)))
            }
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Text(text) => ($set)(text),
                    _ => None,
                }
            }
        }
    )*};
}

texts! {
    String, |v| v, |v: Cow<'_, str>| Some(v.into_owned());
    Kind, |v| v.word(), |v: Cow<'_, str>| Kind::from_word(&v);
    Status, |v| v.word(), |v: Cow<'_, str>| Status::from_word(&v);
}

impl<T: Field> Field for Option<T> {
    const TYPE: Type = T::TYPE;
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Absent, T::value)
    }
    fn from_value(value: Value<'_>) -> Option<Self> {
        T::from_value(value).map(Some)
    }
}

macro_rules! columns {
    ($row:ty, $table:literal, $($name:ident: $type:ty, $need:ident, $limits:expr;)*) => {
        impl Row for $row {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [Column<Self>] = &[$(Column {
                name: stringify!($name),
                kind: <$type as Field>::TYPE,
                need: Need::$need,
                limits: $limits,
                get: |row| row.$name.value(),
                set: |row, value| match <$type as Field>::from_value(value) {
                    Some(value) => {
                        row.$name = value;
                        true
                    }
                    None => false,
                },
            }),*];
        }
    };
}

use Limits::{Above, Any, OneOf, Within};

const LATITUDE: Limits = Within(-90.0, 90.0);
const LONGITUDE: Limits = Within(-180.0, 180.0);

columns! { Merchant, "merchants",
    merchant_id: String, Value, Any;
    name: String, Value, Any;
    chain_id: Option<String>, Nothing, Any;
    kind: Kind, Nothing, OneOf(&Kind::WORDS);
    latitude: f64, Value, LATITUDE;
    longitude: f64, Value, LONGITUDE;
    country: Option<String>, Nothing, Limits::Country;
    cuisines: Vec<String>, Column, Any;
    price_band: Option<u8>, Nothing, Within(1.0, 4.0);
    rating: Option<f32>, Nothing, Within(0.0, 5.0);
    rating_count: Option<u32>, Nothing, Any;
    quality: Option<f32>, Nothing, Within(0.0, 1.0);
    delivery_radius_km: Option<f32>, Nothing, Above(0.0, 500.0);
    prep_minutes: Option<f32>, Nothing, Within(0.0, 1440.0);
    delivery_fee: Option<f32>, Nothing, Within(0.0, 1e6);
    opening_hours: Option<String>, Nothing, Any;
    url: Option<String>, Nothing, Any;
    image_url: Option<String>, Nothing, Any;
    listed_from: Option<Timestamp>, Nothing, Any;
    listed_until: Option<Timestamp>, Nothing, Any;
    observed_at: Option<Timestamp>, Nothing, Any;
}

columns! { Reader, "readers",
    user_id: String, Value, Any;
    market: Option<String>, Nothing, Any;
    locale: Option<String>, Nothing, Any;
    consent: Option<bool>, Nothing, Any;
    membership: Option<bool>, Nothing, Any;
    since: Option<Timestamp>, Nothing, Any;
}

columns! { Place, "places",
    user_id: String, Value, Any;
    place_id: String, Value, Any;
    latitude: f64, Value, LATITUDE;
    longitude: f64, Value, LONGITUDE;
    first_seen_at: Option<Timestamp>, Nothing, Any;
}

columns! { Order, "orders",
    user_id: String, Value, Any;
    merchant_id: String, Value, Any;
    ordered_at: Timestamp, Value, Any;
    place_id: Option<String>, Nothing, Any;
    latitude: Option<f64>, Nothing, LATITUDE;
    longitude: Option<f64>, Nothing, LONGITUDE;
    value: Option<f32>, Nothing, Within(0.0, 1e9);
    status: Status, Nothing, OneOf(&Status::WORDS);
}

columns! { Offer, "offers",
    offer_id: String, Value, Any;
    merchant_id: String, Value, Any;
    kind: String, Value, Any;
    value: f32, Value, Within(0.0, 1e9);
    starts_at: Timestamp, Value, Any;
    ends_at: Timestamp, Value, Any;
    audience: Option<String>, Nothing, Any;
    terms: Option<String>, Nothing, Any;
}

columns! { Event, "events",
    user_id: String, Value, Any;
    at: Timestamp, Value, Any;
    kind: String, Value, Any;
    merchant_id: Option<String>, Nothing, Any;
    latitude: Option<f64>, Nothing, LATITUDE;
    longitude: Option<f64>, Nothing, LONGITUDE;
    message_id: Option<String>, Nothing, Any;
    slot: Option<u32>, Nothing, Any;
    propensity: Option<f32>, Nothing, Above(0.0, 1.0);
    mailbox: Option<String>, Nothing, Any;
}

/// The last second a time may have: the end of the year 2199.
pub const LAST_SECOND: Timestamp = 7_258_118_399;

impl<R> Column<R> {
    /// What belongs into the column, for the message about something else.
    pub fn expected(&self) -> String {
        match (self.limits, self.kind) {
            (Limits::Within(low, high), _) => format!("{low} to {high}"),
            (Limits::Above(low, high), _) => format!("more than {low}, at most {high}"),
            (Limits::OneOf(words), _) => words.join(", "),
            (Limits::Country, _) => "two letters (ISO 3166-1 alpha-2)".to_owned(),
            (Limits::Any, Type::Text) => "text".to_owned(),
            (Limits::Any, Type::Real | Type::Single) => "a number".to_owned(),
            (Limits::Any, Type::Count) => format!("a whole number, 0 to {}", u32::MAX),
            (Limits::Any, Type::Flag) => "true or false".to_owned(),
            (Limits::Any, Type::Time) => "an RFC 3339 time, 1970 to 2199".to_owned(),
            (Limits::Any, Type::Labels) => "labels separated by ;".to_owned(),
        }
    }

    /// Whether a value of the right type makes sense here.
    pub fn allows(&self, value: &Value<'_>) -> bool {
        let number = match value {
            Value::Real(v) => *v,
            Value::Single(v) => f64::from(*v),
            Value::Count(v) => f64::from(*v),
            Value::Time(v) => return (0..=LAST_SECOND).contains(v),
            Value::Text(text) if matches!(self.limits, Limits::Country) => {
                return text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
            }
            _ => return true,
        };
        number.is_finite()
            && match self.limits {
                Limits::Within(low, high) => (low..=high).contains(&number),
                Limits::Above(low, high) => low < number && number <= high,
                _ => true,
            }
    }
}

/// Splits a list as written in one cell, and brings each label into the one form that is compared.
pub fn labels(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split([';', ',']).map(label).filter(|label| !label.is_empty())
}

/// Lower case, `_` between words.
fn label(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.split(|c: char| c.is_whitespace() || c == '_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}
