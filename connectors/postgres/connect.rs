//! The way to a server: the hosts of the url one after another, and each address of a host's name, until one gives a session. Each has
//! a time of its own, from the name to the end of the handshakes: those that are silent do not keep us from the one that lives.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};

use crate::error::Failure;

/// How long it may take until a session is there, all hosts together, unless the url says otherwise (`connect_timeout`, for each): a
/// statement that makes a sink waits for it.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// Each host has an equal part of it, and no less than this.
const HOST_MIN: Duration = Duration::from_secs(3);

/// A host of the url.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: Option<Host>,
    address: Option<IpAddr>,
    port: u16,
}

/// Connects to the first that gives a session; else says why the last one did not.
pub(crate) async fn connect<T>(config: &Config, tls: &T) -> Result<(Client, Connection<Socket, T::Stream>), Failure>
where
    T: MakeTlsConnect<Socket> + Clone,
{
    let mut places = places(config)?;
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        let random = RandomState::new();
        places.sort_by_cached_key(|place| random.hash_one(format!("{place:?}")));
    }
    let answer_max = config.get_tcp_user_timeout().copied().unwrap_or(OPEN_MAX);
    let share = |of: usize| (OPEN_MAX / of as u32).max(HOST_MIN).min(answer_max);
    let part = |of: usize| config.get_connect_timeout().copied().unwrap_or_else(|| share(of));
    let each = part(places.len());
    let mut failure = Failure::refused("url names no host");
    for place in &places {
        let addresses = match timeout(each, place.addresses()).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(why)) => {
                failure = why;
                continue;
            }
            Err(_) => {
                failure = place.silent("look up", each);
                continue;
            }
        };
        let each = part(places.len() * addresses.len().max(1));
        for address in addresses {
            match timeout(each, place.config(config, address).connect(tls.clone())).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => failure = Failure::connecting(error),
                Err(_) => failure = place.silent("connect to", each),
            }
        }
    }
    Err(failure)
}

/// The hosts, each with its address and port, where the url has them.
fn places(config: &Config) -> Result<Vec<Place>, Failure> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let fits = |there: usize, least: usize| there <= least || there == count;
    if !fits(hosts.len(), 0) || !fits(addresses.len(), 0) || !fits(ports.len(), 1) {
        return Err(Failure::refused(format!(
            "url has {} hosts, {} addresses (hostaddr) and {} ports: give each host its own, or one port for all",
            hosts.len(),
            addresses.len(),
            ports.len()
        )));
    }
    let place = |at: usize| Place {
        host: hosts.get(at).cloned(),
        address: addresses.get(at).copied(),
        port: ports.get(at).or(ports.first()).copied().unwrap_or(5432),
    };
    Ok((0..count).map(place).collect())
}

impl Place {
    /// The addresses of the host; one that is not looked up is as it is.
    async fn addresses(&self) -> Result<Vec<Option<IpAddr>>, Failure> {
        let (None, Some(Host::Tcp(name))) = (self.address, &self.host) else { return Ok(vec![self.address]) };
        let found = lookup_host((name.as_str(), self.port)).await;
        let found: Vec<_> = found
            .map_err(|error| Failure::retriable(format!("cannot look up {name}: {error}")))?
            .map(|address| Some(address.ip()))
            .collect();
        if found.is_empty() {
            return Err(Failure::retriable(format!("cannot look up {name}: it has no address")));
        }
        Ok(found)
    }

    /// The settings for this host alone. Its name stays: certificates are made out to it.
    fn config(&self, all: &Config, address: Option<IpAddr>) -> Config {
        let mut config = Config::new();
        match &self.host {
            Some(Host::Tcp(name)) => drop(config.host(name)),
            Some(Host::Unix(path)) => drop(config.host_path(path)),
            None => {}
        }
        address.map(|address| config.hostaddr(address));
        config.port(self.port);
        all.get_user().map(|user| config.user(user));
        all.get_password().map(|password| config.password(password));
        all.get_dbname().map(|name| config.dbname(name));
        all.get_options().map(|options| config.options(options));
        all.get_application_name().map(|name| config.application_name(name));
        all.get_connect_timeout().map(|time| config.connect_timeout(*time));
        all.get_tcp_user_timeout().map(|time| config.tcp_user_timeout(*time));
        all.get_keepalives_interval().map(|time| config.keepalives_interval(time));
        all.get_keepalives_retries().map(|times| config.keepalives_retries(times));
        config
            .ssl_mode(all.get_ssl_mode())
            .ssl_negotiation(all.get_ssl_negotiation())
            .keepalives(all.get_keepalives())
            .keepalives_idle(all.get_keepalives_idle())
            .target_session_attrs(all.get_target_session_attrs())
            .channel_binding(all.get_channel_binding());
        config
    }

    fn silent(&self, step: &str, waited: Duration) -> Failure {
        let name = match (&self.host, self.address) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (Some(Host::Unix(path)), _) => path.display().to_string(),
            (None, address) => address.map_or(String::new(), |address| address.to_string()),
        };
        Failure::retriable(format!(
            "cannot {step} {name}:{}: no answer within {} s (connect_timeout in the url is how long each host may take)",
            self.port,
            waited.as_secs_f64()
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What there is to say of one host.
    const ALL: &str = "?application_name=a&options=-c%20x=y&sslmode=require&sslnegotiation=direct&connect_timeout=7&tcp_user_timeout=8\
        &keepalives=0&keepalives_idle=9&keepalives_interval=10&keepalives_retries=11&target_session_attrs=read-write\
        &channel_binding=require";

    #[test]
    fn a_host_has_all_settings_but_the_other_hosts() {
        let parsed = |url: &str| -> Config { url.parse().unwrap() };
        for (url, alone) in [
            ("postgres://u:p@a:1,b:2/d", ["postgres://u:p@a:1/d", "postgres://u:p@b:2/d"]),
            ("postgres://u@%2Frun,b/d", ["postgres://u@%2Frun:5432/d", "postgres://u@b:5432/d"]),
        ] {
            let all = parsed(&format!("{url}{ALL}"));
            let found: Vec<_> = places(&all).unwrap().iter().map(|place| place.config(&all, place.address)).collect();
            assert_eq!(found, alone.map(|url| parsed(&format!("{url}{ALL}"))), "{url}");
        }
        let all = parsed("postgres://u@a,b/d?hostaddr=127.0.0.1,127.0.0.2");
        assert_eq!(
            places(&all).unwrap()[1],
            Place { host: Some(Host::Tcp("b".into())), address: Some([127, 0, 0, 2].into()), port: 5432 }
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for url in ["postgres://u@a,b/d?hostaddr=127.0.0.1", "postgres://u@a:1,b:2,c:3/d?port=4"] {
            let config: Config = url.parse().unwrap();
            assert!(places(&config).is_err(), "{url}");
        }
    }
}
