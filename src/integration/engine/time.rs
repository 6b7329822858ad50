//! Reads the time formats that manifests can name.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};

use crate::manifest::mapping::TimeFormat;

/// A time in Unix milliseconds; `None` if the text does not have the format.
pub(super) fn parse(format: TimeFormat, text: &str) -> Option<i64> {
    match format {
        TimeFormat::Iso => iso(text),
        TimeFormat::EpochS => epoch_seconds(text),
        TimeFormat::EpochMs => text.parse::<i64>().ok(),
        TimeFormat::Rfc1123 => DateTime::parse_from_rfc2822(text).ok().map(|time| time.timestamp_millis()),
    }
}

fn epoch_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = TimeDelta::try_seconds(whole.parse().ok()?)?;
    let milliseconds = if fraction.is_empty() { 0 } else { format!("{fraction:0<3}").get(..3)?.parse().ok()? };
    whole.checked_add(&TimeDelta::milliseconds(milliseconds)).map(|time| time.num_milliseconds())
}

fn iso(text: &str) -> Option<i64> {
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"];
    let zoned = zoned.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    if let Some(time) = DateTime::parse_from_rfc3339(text).ok().or(zoned) {
        return Some(time.timestamp_millis());
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S UTC"];
    let local = local.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let time = local.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(time.and_utc().timestamp_millis())
}
