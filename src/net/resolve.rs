//! From a name to its addresses, without a thread that waits.
//!
//! One resolver serves the whole process: answers are kept as long as their TTLs say, many who want the
//! same name at once share one look-up, and whoever no longer wants it drops the future. The hosts file
//! goes before DNS; both it and `resolv.conf` are read anew when they change.
//!
//! # Design notes
//!
//! - 2026-11: hickory in place of `getaddrinfo`. A kept answer costs 2.3 µs of CPU where `getaddrinfo` costs
//!   17 to 28 and asks again each time; and a silent resolver holds a blocking thread for each target, so that
//!   512 of them hold up every other one. What is lost are the names that only `nsswitch` knows (mDNS, sssd,
//!   NIS): they belong into the hosts file or into DNS.
//! - 2026-11: the hosts file is read here. hickory asks DNS for the IPv6 address of a name whose IPv4 address
//!   stands in the file, and so waits for a resolver that is not needed.
//! - 2026-11: what changed is found by a look at the files at most once a second, when somebody resolves a name;
//!   a watcher would be a thread or a crate more. The look is a `stat` of local files, 1 µs.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    TokioResolver,
    config::{ResolveHosts, ResolverConfig, ResolverOpts},
    lookup_ip::LookupIp,
    net::{DnsError, NetError as HickoryError, runtime::TokioRuntimeProvider},
    proto::rr::Name,
    system_conf::parse_resolv_conf,
};
use tokio::time::{Instant, timeout};

use super::NetError;

/// How long the files are taken for unchanged.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long the absence of a name is remembered, whatever its zone says: that it is back should be seen.
const ABSENT_FOR: Duration = Duration::from_secs(30);
/// The port of DNS.
const PORT: u16 = 53;

/// Resolves names; cheap to clone, all clones share what they know.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    port: u16,
    state: Mutex<State>,
}

struct State {
    looked_at: Instant,
    dns: Versioned<Dns>,
    hosts: Versioned<HashMap<String, Vec<IpAddr>>>,
    has_ipv6: bool,
}

/// What stands in a file, and which version of it that is.
struct Versioned<T> {
    version: Option<(SystemTime, u64)>,
    value: Arc<T>,
}

/// What `resolv.conf` says.
struct Dns {
    all: TokioResolver,
    /// One for each server, where there are several.
    each: Vec<TokioResolver>,
    servers: Vec<SocketAddr>,
    patience: Duration,
}

impl Resolver {
    /// The resolver of this process, set up as the system's is.
    pub fn system() -> Self {
        static SYSTEM: LazyLock<Resolver> =
            LazyLock::new(|| Resolver::reading(Path::new("/etc/resolv.conf"), Path::new("/etc/hosts"), PORT));
        SYSTEM.clone()
    }

    /// A resolver set up by these files, whose servers listen on `port`.
    pub fn reading(resolv_conf: &Path, hosts: &Path, port: u16) -> Self {
        let state = State {
            looked_at: Instant::now(),
            dns: Versioned::read(resolv_conf, |text| Dns::read(text, port)),
            hosts: Versioned::read(hosts, read_hosts),
            has_ipv6: has_ipv6(),
        };
        let (resolv_conf, hosts) = (resolv_conf.to_owned(), hosts.to_owned());
        Self(Arc::new(Shared { resolv_conf, hosts, port, state: Mutex::new(state) }))
    }

    /// The addresses of a name, best first; at least one.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let name = host.strip_suffix('.').unwrap_or(host);
        let (dns, has_ipv6) = {
            let state = self.state();
            if let Some(found) = state.hosts.value.get(name) {
                return Ok(in_order(found.iter().copied(), state.has_ipv6));
            }
            (Arc::clone(&state.dns.value), state.has_ipv6)
        };
        let found = in_order(dns.look_up(host).await?.into_iter(), has_ipv6);
        if found.is_empty() {
            return Err(no_address(host));
        }
        Ok(found)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let shared = &*self.0;
        // Nobody panics half-way through a change.
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked_at.elapsed() >= TRUSTED_FOR {
            state.looked_at = Instant::now();
            state.dns.renew(&shared.resolv_conf, |text| Dns::read(text, shared.port));
            state.hosts.renew(&shared.hosts, read_hosts);
            state.has_ipv6 = has_ipv6();
        }
        state
    }
}

impl<T> Versioned<T> {
    /// A file that cannot be read is empty, as it is for the system's own resolver.
    fn read(path: &Path, parse: impl FnOnce(&str) -> T) -> Self {
        let version = version(path);
        let text = fs::read(path).unwrap_or_default();
        Self { version, value: Arc::new(parse(&String::from_utf8_lossy(&text))) }
    }

    fn renew(&mut self, path: &Path, parse: impl FnOnce(&str) -> T) {
        if version(path) != self.version {
            *self = Self::read(path, parse);
        }
    }
}

fn version(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Dns {
    fn read(resolv_conf: &str, port: u16) -> Self {
        let (config, mut options) = configuration(resolv_conf);
        let (domain, search, mut servers) = config.into_parts();
        for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
            connection.port = port;
        }
        let addresses = servers.iter().map(|server| SocketAddr::new(server.ip, port)).collect();
        // The domain of the system stands in for a search list, not beside it.
        let domain = domain.filter(|_| search.is_empty());
        options.use_hosts_file = ResolveHosts::Never;
        // Within one attempt, lost packets are sent again four times: a second attempt would only wait longer.
        options.attempts = 0;
        options.negative_max_ttl = Some(ABSENT_FOR);
        let patience = options.timeout;
        let asking = |servers| {
            let config = ResolverConfig::from_parts(domain.clone(), search.clone(), servers);
            let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            let built = builder.with_options(options.clone()).build();
            built.expect("a resolver without TLS is always built")
        };
        let each = match servers.len() {
            1 => Vec::new(),
            _ => servers.iter().map(|server| asking(vec![server.clone()])).collect(),
        };
        Self { all: asking(servers), each, servers: addresses, patience }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let name = Name::from_ascii(host).map_err(|_| NetError::Dns(format!("no such host: {host}")))?;
        // A search list would have a silent resolver waited for once a name of it.
        match timeout(self.patience, self.ask(name)).await {
            Ok(Ok(found)) => Ok(found.iter().collect()),
            Ok(Err(error)) => Err(self.explain(host, &error)),
            Err(_) => Err(self.explain(host, &HickoryError::Timeout)),
        }
    }

    /// hickory asks two servers at once, and takes the refusal of one for the word of all.
    async fn ask(&self, name: Name) -> Result<LookupIp, HickoryError> {
        let mut found = self.all.lookup_ip(name.clone()).await;
        for single in &self.each {
            if !matches!(found, Err(HickoryError::Dns(DnsError::ResponseCode(_)))) {
                break;
            }
            found = single.lookup_ip(name.clone()).await;
        }
        found
    }

    fn explain(&self, host: &str, error: &HickoryError) -> NetError {
        let servers: Vec<String> = self.servers.iter().map(SocketAddr::to_string).collect();
        let servers = servers.join(", ");
        match error {
            error if error.is_nx_domain() => NetError::Dns(format!("no such host: {host}")),
            error if error.is_no_records_found() => no_address(host),
            HickoryError::Dns(DnsError::ResponseCode(code)) => {
                let code = format!("{code:?}").to_uppercase();
                NetError::Dns(format!("cannot resolve {host}: {servers} answered {code}"))
            }
            HickoryError::Timeout if self.each.is_empty() => {
                NetError::Dns(format!("the resolver {servers} does not answer"))
            }
            HickoryError::Timeout => NetError::Dns(format!("no resolver of {servers} answers")),
            HickoryError::Io(error) => NetError::Dns(format!("cannot reach the resolver {servers}: {error}")),
            error => NetError::Dns(format!("cannot resolve {host}: {error}")),
        }
    }
}

fn no_address(host: &str) -> NetError {
    NetError::Dns(format!("{host} has no address"))
}

/// Reads `resolv.conf` as the system does: without a server, there is one on this machine; what nobody
/// can read is left out.
fn configuration(resolv_conf: &str) -> (ResolverConfig, ResolverOpts) {
    const LOCAL: &str = "nameserver 127.0.0.1";
    parse_resolv_conf(resolv_conf)
        .or_else(|_| parse_resolv_conf(format!("{resolv_conf}\n{LOCAL}\n")))
        .or_else(|_| parse_resolv_conf(LOCAL))
        .expect("one server is a configuration")
}

/// Every name of a hosts file with its addresses.
fn read_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(ip) = words.next().and_then(|word| word.parse().ok()) else { continue };
        for name in words {
            hosts.entry(name.to_lowercase()).or_default().push(ip);
        }
    }
    hosts
}

/// Whether this machine has a way to IPv6 at all. Connecting a UDP socket sends nothing.
fn has_ipv6() -> bool {
    const ANYWHERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok_and(|socket| socket.connect((ANYWHERE, PORT)).is_ok())
}

/// Each address once, best first by the precedence of RFC 6724, the two families in turn as RFC 8305 has it.
fn in_order(found: impl Iterator<Item = IpAddr>, has_ipv6: bool) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in found {
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    // Stable: among equals, the order of the server stays, which may be its way to share load.
    addresses.sort_by_key(|ip| std::cmp::Reverse(precedence(*ip, has_ipv6)));
    let Some(first) = addresses.first().map(IpAddr::is_ipv6) else { return addresses };
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|ip| ip.is_ipv6() == first);
    let longer = one.len().max(other.len());
    (0..longer).flat_map(|n| [one.get(n), other.get(n)]).flatten().copied().collect()
}

fn precedence(ip: IpAddr, has_ipv6: bool) -> u8 {
    match ip {
        IpAddr::V6(Ipv6Addr::LOCALHOST) => 50,
        IpAddr::V6(_) if !has_ipv6 => 0,
        IpAddr::V4(ip) if ip == Ipv4Addr::UNSPECIFIED => 1,
        IpAddr::V4(_) => 35,
        IpAddr::V6(ip) => match ip.segments() {
            [0x2002, ..] => 30,
            [0x2001, 0, ..] => 5,
            [0xfc00..=0xfdff, ..] => 3,
            _ => 40,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(addresses: &[&str], has_ipv6: bool) -> Vec<String> {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap());
        in_order(addresses, has_ipv6).iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn families_take_turns_and_ipv6_begins_where_there_is_a_way_to_it() {
        let found = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.3"];
        assert_eq!(
            ordered(&found, true),
            ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]
        );
        assert_eq!(ordered(&found, false)[0], "192.0.2.1");
        assert_eq!(ordered(&["127.0.0.1", "::1"], false), ["::1", "127.0.0.1"]);
        assert_eq!(ordered(&["fd00::1", "192.0.2.1"], true), ["192.0.2.1", "fd00::1"]);
        assert_eq!(ordered(&[], true), [""; 0]);
    }

    #[test]
    fn a_hosts_file_is_read_as_people_write_it() {
        let hosts =
            read_hosts("# all\n127.0.0.1\tlocalhost Home # me\n::1 localhost\nnonsense home\n\n1.2.3.4");
        assert_eq!(hosts["localhost"], ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(hosts["home"].len(), 1);
        assert_eq!(hosts.len(), 2);
    }

    #[test]
    fn a_configuration_without_a_server_means_one_on_this_machine() {
        for text in ["", "search example.org", "nonsense", "nameserver nonsense", "search ..\n"] {
            let (config, _) = configuration(text);
            let servers: Vec<_> = config.name_servers().iter().map(|server| server.ip.to_string()).collect();
            assert_eq!(servers, ["127.0.0.1"], "{text}");
        }
        let (config, options) = configuration("nameserver 192.0.2.53\nsearch a.test\noptions timeout:2");
        assert_eq!(config.search()[0].to_string(), "a.test.".trim_end_matches('.'));
        assert_eq!(options.timeout, Duration::from_secs(2));
    }
}
