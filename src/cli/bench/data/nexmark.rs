//! Auctions: of 50 events 1 is a person, 3 are auctions, 46 are bids; half of the bids go to one auction in a hundred, three in four
//! of the bidders and sellers are one person in a hundred. Ten thousand events are a second of their own time.

use super::python::Random;
use super::{Take, Topic};
use crate::cli::Failure;

const SEED: u32 = 42;
const BEGIN_MS: i64 = 1_700_000_000_000;
const EVENTS_PER_SECOND: i64 = 10_000;
/// The turn: persons, auctions, all.
const PERSONS: i64 = 1;
const AUCTIONS: i64 = 3;
const TURN: i64 = 50;
const HOT: i64 = 100;
const IN_FLIGHT: i64 = 100;
const ACTIVE: i64 = 1_000;
const LEAD: i64 = 10;
/// How many events an auction is open, about.
const OPEN_EVENTS: i64 = IN_FLIGHT * TURN / AUCTIONS;
const FIRST_ID: i64 = 1_000;
/// From where fillings are cut.
const FILLING_BYTES: usize = 1 << 20;
const CHANNELS: i64 = 10_000;

const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// The auction house.
struct House {
    random: Random,
    filling: String,
    hot_urls: Vec<String>,
    /// Name and address.
    channels: Vec<(String, String)>,
}

/// Generates so many events.
pub(super) fn generate(events: u64, take: Take) -> Result<(), Failure> {
    let mut house = House::new();
    for event in 0..events as i64 {
        match event % TURN {
            0..PERSONS => {
                let id = last_person(event) + FIRST_ID;
                take(Topic::Person, id, &house.person(id, event))?;
            }
            PERSONS..=AUCTIONS => {
                let id = last_auction(event) + FIRST_ID;
                take(Topic::Auction, id, &house.auction(id, event))?;
            }
            _ => {
                let (auction, bid) = house.bid(event);
                take(Topic::Bid, auction, &bid)?;
            }
        }
    }
    Ok(())
}

impl House {
    fn new() -> Self {
        let mut random = Random::new(SEED);
        let filling = (0..FILLING_BYTES).map(|_| char::from(random.one_of(LETTERS))).collect();
        let mut house = Self { random, filling, hot_urls: Vec::new(), channels: Vec::new() };
        house.hot_urls = HOT_CHANNELS.iter().map(|_| house.address()).collect();
        house.channels = (0..CHANNELS).map(|number| house.channel(number)).collect();
        house
    }

    fn channel(&mut self, number: i64) -> (String, String) {
        let mut url = self.address();
        if self.random.below(10) > 0 {
            let id = (number as u32).reverse_bits() & 0x7fff_ffff;
            url.push_str(&format!("&channel_id={id}"));
        }
        (format!("channel-{number}"), url)
    }

    fn address(&mut self) -> String {
        let [a, b, c] = [self.word(5, '_'), self.word(5, '_'), self.word(5, '_')];
        format!("https://www.nexmark.com/{a}/{b}/{c}/item.htm?query=1")
    }

    /// 3 to `max` letters, here and there a space instead.
    fn word(&mut self, max: i64, space: char) -> String {
        let length = 3 + self.random.below(max - 3);
        let letter = |_| match self.random.unit() < 1.0 / 13.0 {
            true => space,
            false => char::from(self.random.one_of(LETTERS)),
        };
        (0..length).map(letter).collect::<String>().trim().to_string()
    }

    /// What brings a record of `size` bytes to `average`, about.
    fn extra(&mut self, size: usize, average: usize) -> String {
        let Some(missing) = average.checked_sub(size) else { return String::new() };
        let missing = missing as i64;
        let about = (missing as f64 * 0.2).round_ties_even() as i64;
        let more = if about > 0 { self.random.below(2 * about) } else { 0 };
        let length = missing - about + more;
        if length <= 0 {
            return String::new();
        }
        let from = self.random.below(FILLING_BYTES as i64 - length) as usize;
        self.filling[from..from + length as usize].to_string()
    }

    fn price(&mut self) -> i64 {
        (10f64.powf(self.random.unit() * 6.0) * 100.0).round_ties_even() as i64
    }

    /// A person who is about at an event: mostly one of the latest.
    fn any_person(&mut self, event: i64) -> i64 {
        let count = last_person(event) + 1;
        let active = count.min(ACTIVE);
        count - active + self.random.below(active + LEAD)
    }

    fn any_auction(&mut self, event: i64) -> i64 {
        let last = last_auction(event);
        let first = (last - IN_FLIGHT).max(0);
        first + self.random.below(last - first + 1 + LEAD)
    }

    fn person(&mut self, id: i64, event: i64) -> String {
        let name = format!("{} {}", self.random.one_of(&FIRST_NAMES), self.random.one_of(&LAST_NAMES));
        let email = format!("{}@{}.com", self.word(7, ' '), self.word(5, ' '));
        let card: Vec<String> = (0..4).map(|_| format!("{:04}", self.random.below(10_000))).collect();
        let card = card.join(" ");
        let (city, state) = (self.random.one_of(&CITIES), self.random.one_of(&STATES));
        let size = 8 + name.len() + email.len() + card.len() + city.len() + state.len();
        let (time, extra) = (time(event), self.extra(size, 200));
        format!(
            "{{\"id\":{id},\"name\":\"{name}\",\"emailAddress\":\"{email}\",\"creditCard\":\"{card}\",\"city\":\"{city}\",\
             \"state\":\"{state}\",\"dateTime\":{time},\"extra\":\"{extra}\"}}"
        )
    }

    fn auction(&mut self, id: i64, event: i64) -> String {
        let time = time(event);
        let hot = self.random.below(4) > 0;
        let seller = if hot { last_person(event).div_euclid(HOT) * HOT } else { self.any_person(event) };
        let seller = seller + FIRST_ID;
        let category = 10 + self.random.below(5);
        let initial = self.price();
        let open = self::time(event + OPEN_EVENTS) - time;
        let expires = time + 1 + self.random.below((open * 2).max(1));
        let (name, description) = (self.word(20, ' '), self.word(100, ' '));
        let reserve = initial + self.price();
        let extra = self.extra(8 + name.len() + description.len() + 40, 500);
        format!(
            "{{\"id\":{id},\"itemName\":\"{name}\",\"description\":\"{description}\",\"initialBid\":{initial},\
             \"reserve\":{reserve},\"dateTime\":{time},\"expires\":{expires},\"seller\":{seller},\"category\":{category},\
             \"extra\":\"{extra}\"}}"
        )
    }

    /// Its auction, and the bid.
    fn bid(&mut self, event: i64) -> (i64, String) {
        let hot = self.random.below(2) > 0;
        let auction = if hot { last_auction(event).div_euclid(HOT) * HOT } else { self.any_auction(event) };
        let auction = auction + FIRST_ID;
        let hot = self.random.below(4) > 0;
        let bidder = if hot { last_person(event).div_euclid(HOT) * HOT + 1 } else { self.any_person(event) };
        let bidder = bidder + 2 * FIRST_ID;
        let price = self.price();
        let (channel, url) = if self.random.below(2) > 0 {
            let at = self.random.below(HOT_CHANNELS.len() as i64) as usize;
            (HOT_CHANNELS[at].to_string(), self.hot_urls[at].clone())
        } else {
            let at = self.random.below(CHANNELS) as usize;
            self.channels[at].clone()
        };
        let (time, extra) = (time(event), self.extra(32, 100));
        let bid = format!(
            "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"{channel}\",\"url\":\"{url}\",\
             \"dateTime\":{time},\"extra\":\"{extra}\"}}"
        );
        (auction, bid)
    }
}

fn time(event: i64) -> i64 {
    BEGIN_MS + event * 1000 / EVENTS_PER_SECOND
}

/// The number of the last auction up to an event; -1: none yet.
fn last_auction(event: i64) -> i64 {
    let (turn, at) = (event / TURN, event % TURN);
    match at {
        0..PERSONS => (turn - 1) * AUCTIONS + AUCTIONS - 1,
        PERSONS..=AUCTIONS => turn * AUCTIONS + at - PERSONS,
        _ => turn * AUCTIONS + AUCTIONS - 1,
    }
}

/// The number of the last person up to an event.
fn last_person(event: i64) -> i64 {
    event / TURN * PERSONS + (event % TURN).min(PERSONS - 1)
}
