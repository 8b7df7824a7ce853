//! Dates and times of the wire, which count from 2000, as PostgreSQL's text forms.

/// Days from 1970 to 2000.
pub(crate) const DAYS_TO_2000: i32 = 10_957;
/// Microseconds from 1970 to 2000.
pub(crate) const MICROS_TO_2000: i64 = 946_684_800_000_000;

const DAY: i64 = 86_400_000_000;

/// A day, counted from 2000: `2024-01-15`.
pub(crate) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_string(),
        i32::MIN => "-infinity".to_string(),
        _ => {
            let (date, era) = civil(i64::from(days));
            date + era
        }
    }
}

/// Microseconds of a day: `13:14:15.123456`.
pub(crate) fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{fraction:06}") }
}

/// Microseconds from 2000: `2024-01-15 13:14:15`, with `zone` behind it.
pub(crate) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".to_string(),
        i64::MIN => "-infinity".to_string(),
        _ => {
            let (date, era) = civil(micros.div_euclid(DAY));
            format!("{date} {}{zone}{era}", time(micros.rem_euclid(DAY)))
        }
    }
}

/// The day so many days after 2000-01-01 in the Gregorian calendar, and its era if it is before our own.
fn civil(days: i64) -> (String, &'static str) {
    // Years begin in March here, so that the leap day is a year's last.
    let from_march = days + i64::from(DAYS_TO_2000) + 719_468;
    let (century4, day) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + century4 * 400 + i64::from(month <= 2);
    // There is no year 0.
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (days, text) in [
            (0, "2000-01-01"),
            (-1, "1999-12-31"),
            (59, "2000-02-29"),
            (60, "2000-03-01"),
            (8780, "2024-01-15"),
            (-DAYS_TO_2000, "1970-01-01"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
            (-36_465, "1900-03-01"),
            (-36_466, "1900-02-28"),
            (2_921_940, "10000-01-01"),
        ] {
            assert_eq!(date(days), text, "{days}");
        }
    }

    #[test]
    fn instants_have_six_digits_or_none() {
        assert_eq!(timestamp(0, ""), "2000-01-01 00:00:00");
        assert_eq!(timestamp(-1, "+00"), "1999-12-31 23:59:59.999999+00");
        assert_eq!(time(86_399_000_001), "23:59:59.000001");
        assert_eq!(timestamp(i64::MIN, "+00"), "-infinity");
    }
}
