//! The catalogue that comes with a token of Keystone: where the services of a cloud are.
//!
//! What has not the shape of an endpoint is left out: a cloud has entries that nobody asks for.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;
use skypunch_actors::domain::text;

use super::endpoint::masked;

/// The most names that a reason shows.
const NAMES_MAX: usize = 12;
/// The longest name that a reason shows, in characters.
const NAME_MAX: usize = 40;

/// The interfaces of a service, and how v2.0 calls the URL of each.
const INTERFACES: [(&str, &str); 3] =
    [("public", "publicURL"), ("internal", "internalURL"), ("admin", "adminURL")];

/// The endpoints of a catalogue, in its order.
#[derive(Default)]
pub(super) struct Catalogue {
    listed: Vec<Listed>,
    /// What must not be shown, even if it comes back in a name.
    secrets: Vec<String>,
}

struct Listed {
    service: String,
    region: String,
    interface: &'static str,
    url: String,
}

/// What is looked for in a catalogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    /// The type of the service: `compute`.
    pub(super) service: String,
    /// Its region; `None` takes the first that there is.
    pub(super) region: Option<String>,
    /// Its interface.
    pub(super) interface: &'static str,
}

impl Wanted {
    /// The interface that is meant by a name, in any case.
    pub(super) fn interface(name: &str) -> Option<&'static str> {
        INTERFACES.iter().map(|(interface, _)| *interface).find(|known| known.eq_ignore_ascii_case(name))
    }
}

impl Catalogue {
    /// Reads `access.serviceCatalog` of v2.0, whose endpoints have a URL for each interface.
    pub(super) fn of_v2(list: &Value) -> Self {
        Self::read(list, |endpoint| {
            let url = |(interface, key): &(&'static str, &str)| Some((*interface, endpoint[*key].as_str()?));
            INTERFACES.iter().filter_map(url).collect()
        })
    }

    /// Reads `token.catalog` of v3, whose endpoints have one interface each.
    pub(super) fn of_v3(list: &Value) -> Self {
        Self::read(list, |endpoint| {
            let interface = endpoint["interface"].as_str().and_then(Wanted::interface);
            interface.zip(endpoint["url"].as_str()).into_iter().collect()
        })
    }

    fn read(list: &Value, urls: impl Fn(&Value) -> Vec<(&'static str, &str)>) -> Self {
        let mut listed = Vec::new();
        for service in list.as_array().into_iter().flatten() {
            let Some(name) = service["type"].as_str() else { continue };
            for endpoint in service["endpoints"].as_array().into_iter().flatten() {
                let region = endpoint["region_id"].as_str().or_else(|| endpoint["region"].as_str());
                listed.extend(urls(endpoint).into_iter().map(|(interface, url)| Listed {
                    service: name.to_owned(),
                    region: region.unwrap_or_default().to_owned(),
                    interface,
                    url: url.to_owned(),
                }));
            }
        }
        Self { listed, secrets: Vec::new() }
    }

    /// The same, which does not show these.
    pub(super) fn hiding(self, secrets: &[String]) -> Self {
        Self { secrets: secrets.to_owned(), ..self }
    }

    /// The URL of a service; or what is missing, and what there is in its place.
    pub(super) fn find(&self, wanted: &Wanted) -> Result<&str, String> {
        if self.listed.is_empty() {
            return Err("is empty, as it is where a token has no scope".to_owned());
        }
        let service = text::cut(&wanted.service, NAME_MAX);
        let of_service: Vec<_> = self.listed.iter().filter(|one| one.service == wanted.service).collect();
        if of_service.is_empty() {
            let there = self.names(self.listed.iter().map(|one| &*one.service));
            return Err(format!("has no service `{service}`: {there}"));
        }
        let in_region = |one: &&&Listed| wanted.region.as_ref().is_none_or(|region| one.region == *region);
        let in_region: Vec<_> = of_service.iter().filter(in_region).collect();
        if let (Some(region), []) = (&wanted.region, &in_region[..]) {
            let region = text::cut(region, NAME_MAX);
            let there = self.names(of_service.iter().map(|one| &*one.region));
            return Err(format!("has no `{service}` in the region `{region}`: {there}"));
        }
        let found = in_region.iter().find(|one| one.interface == wanted.interface);
        found.map(|one| &*one.url).ok_or_else(|| {
            let there = self.names(in_region.iter().map(|one| one.interface));
            format!("has no interface `{}` of `{service}`: {there}", wanted.interface)
        })
    }

    /// What there is, in few words.
    fn names<'a>(&self, all: impl Iterator<Item = &'a str>) -> String {
        let all: BTreeSet<&str> = all.filter(|name| !name.is_empty()).collect();
        if all.is_empty() {
            return "it has none".to_owned();
        }
        let shown = all.iter().take(NAMES_MAX).map(|name| masked(name, &self.secrets));
        let mut shown: Vec<_> = shown.map(|name| text::cut(&name, NAME_MAX).into_owned()).collect();
        if all.len() > NAMES_MAX {
            shown.push("…".to_owned());
        }
        format!("it has {}", shown.join(", "))
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").field("endpoints", &self.listed.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn v3() -> Catalogue {
        let endpoint = |interface: &str, region: &str, url: &str| json!({"interface": interface, "region_id": region, "url": url});
        let identity = endpoint("public", "RegionOne", "http://k/v3");
        Catalogue::of_v3(&json!([
            {"type": "identity", "name": "keystone", "endpoints": [identity]},
            {"type": "compute", "name": "nova", "endpoints": [
                endpoint("internal", "RegionOne", "http://10.0.0.1/v2.1"),
                endpoint("public", "RegionOne", "http://one/v2.1"),
                endpoint("public", "RegionTwo", "http://two/v2.1"),
            ]},
        ]))
    }

    fn find<'a>(
        catalogue: &'a Catalogue,
        service: &str,
        region: Option<&str>,
        interface: &'static str,
    ) -> Result<&'a str, String> {
        let (service, region) = (service.to_owned(), region.map(str::to_owned));
        catalogue.find(&Wanted { service, region, interface })
    }

    #[test]
    fn a_service_is_found_by_type_region_and_interface() {
        let catalogue = v3();
        assert_eq!(find(&catalogue, "compute", None, "public"), Ok("http://one/v2.1"));
        assert_eq!(find(&catalogue, "compute", Some("RegionTwo"), "public"), Ok("http://two/v2.1"));
        assert_eq!(find(&catalogue, "compute", Some("RegionOne"), "internal"), Ok("http://10.0.0.1/v2.1"));
    }

    #[test]
    fn v2_has_the_interfaces_side_by_side() {
        let endpoint = json!({
            "region": "RegionOne", "publicURL": "http://one/v2/t", "adminURL": "http://10.0.0.1/v2/t", "id": "1",
        });
        let catalogue =
            Catalogue::of_v2(&json!([{"type": "compute", "name": "nova", "endpoints": [endpoint]}]));
        assert_eq!(find(&catalogue, "compute", Some("RegionOne"), "public"), Ok("http://one/v2/t"));
        assert_eq!(find(&catalogue, "compute", None, "admin"), Ok("http://10.0.0.1/v2/t"));
        assert_eq!(
            find(&catalogue, "compute", None, "internal").unwrap_err(),
            "has no interface `internal` of `compute`: it has admin, public"
        );
    }

    #[test]
    fn what_is_missing_is_told_with_what_there_is() {
        let catalogue = v3();
        let missing = |service, region, interface| find(&catalogue, service, region, interface).unwrap_err();
        assert_eq!(missing("image", None, "public"), "has no service `image`: it has compute, identity");
        assert_eq!(
            missing("compute", Some("Mars"), "public"),
            "has no `compute` in the region `Mars`: it has RegionOne, RegionTwo"
        );
        assert_eq!(
            missing("compute", Some("RegionTwo"), "admin"),
            "has no interface `admin` of `compute`: it has public"
        );
        let nowhere =
            json!([{"type": "compute", "endpoints": [{"interface": "public", "url": "http://h/"}]}]);
        assert_eq!(
            find(&Catalogue::of_v3(&nowhere), "compute", Some("Mars"), "public").unwrap_err(),
            "has no `compute` in the region `Mars`: it has none"
        );
        let empty = Catalogue::default();
        assert_eq!(
            find(&empty, "compute", None, "public").unwrap_err(),
            "is empty, as it is where a token has no scope"
        );
    }

    #[test]
    fn what_is_no_endpoint_is_left_out() {
        for list in [
            json!(null),
            json!("compute"),
            json!([7, {"endpoints": []}, {"type": "compute"}, {"type": "compute", "endpoints": {}}]),
            json!([{"type": "compute", "endpoints": [7, {"interface": "public"}, {"url": "http://h/"}]}]),
        ] {
            assert!(
                Catalogue::of_v2(&list).listed.is_empty() && Catalogue::of_v3(&list).listed.is_empty(),
                "{list}"
            );
        }
    }

    #[test]
    fn a_large_cloud_is_told_in_few_words() {
        let service = |n: u32| {
            let endpoint = json!({"interface": "public", "url": "u"});
            json!({"type": format!("{n:04}{}", "x".repeat(1000)), "endpoints": [endpoint]})
        };
        let list: Vec<_> = (0..1000).map(service).collect();
        let why = find(&Catalogue::of_v3(&list.into()), &"y".repeat(1000), None, "public").unwrap_err();
        assert!(why.chars().count() < 600 && why.ends_with("…, …"), "{why}");
    }

    proptest! {
        #[test]
        fn any_json_is_a_catalogue(text in ".*", key in "type|endpoints|url|interface|publicURL|region") {
            let leaf = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let service = json!({"type": "compute", "endpoints": [{ key: leaf.clone() }, leaf.clone()]});
            let list = json!([service, leaf.clone()]);
            for catalogue in [Catalogue::of_v2(&list), Catalogue::of_v3(&list), Catalogue::of_v3(&leaf)] {
                drop(find(&catalogue, "compute", Some("RegionOne"), "public"));
            }
        }
    }
}
