//! What Keystone is asked: which version, by whom, and for what; and what is looked for in its catalogue.

use serde_json::{Value, json};

use super::{
    super::{catalogue::Wanted, parms::Parms},
    ENDPOINT, SERVICE,
};

/// Every parameter of the kind.
pub(super) const KEYS: [&str; 17] = [
    ENDPOINT,
    "version",
    "user",
    "userid",
    "password",
    "userdomain",
    "userdomainid",
    "tenantid",
    "projectid",
    "projectname",
    "projectdomain",
    "projectdomainid",
    "applicationcredentialid",
    "applicationcredentialsecret",
    SERVICE,
    "region",
    "interface",
];

/// Those that v2.0 knows.
const KEYS_V2: [&str; 8] =
    [ENDPOINT, "version", "user", "password", "tenantid", SERVICE, "region", "interface"];

/// Those that say where in the catalogue the target is. The token does not hang on them.
pub(super) const KEYS_SERVICE: [&str; 3] = [SERVICE, "region", "interface"];

/// Those that say something of the user or the scope, which an application credential carries itself.
const KEYS_PASSWORD: [&str; 10] = [
    "user",
    "userid",
    "password",
    "userdomain",
    "userdomainid",
    "tenantid",
    "projectid",
    "projectname",
    "projectdomain",
    "projectdomainid",
];

/// The domain of whoever does not say another.
const DEFAULT_DOMAIN: &str = "default";
/// The interface of whoever does not say another.
const DEFAULT_INTERFACE: &str = "public";

/// A version of the identity API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    V2,
    V3,
}

impl Version {
    /// The version that the parameters ask for, or why that is unclear.
    pub(super) fn of(parms: &Parms) -> Result<Self, String> {
        let said = match parms.known_now("version") {
            None => None,
            Some("2" | "2.0" | "v2.0") => Some(Self::V2),
            Some("3" | "v3") => Some(Self::V3),
            Some(_) => return Err("version: allowed are 2.0 and 3".to_owned()),
        };
        let path = service(parms.known_now(ENDPOINT).unwrap_or_default());
        let shown = if path.ends_with("/v3") {
            Some(Self::V3)
        } else if path.ends_with("/v2.0") {
            Some(Self::V2)
        } else {
            None
        };
        match (said, shown) {
            (Some(said), Some(shown)) if said != shown => {
                Err(format!("`version` contradicts the path of `{ENDPOINT}`"))
            }
            (said, shown) => Ok(said.or(shown).unwrap_or(Self::V2)),
        }
    }

    /// Where this version issues tokens.
    pub(super) fn url(self, endpoint: &str) -> String {
        let service = service(endpoint);
        match self {
            Self::V2 => format!("{service}/tokens"),
            Self::V3 if service.ends_with("/v3") => format!("{service}/auth/tokens"),
            Self::V3 => format!("{service}/v3/auth/tokens"),
        }
    }
}

/// The URL of the service, where that of its tokens may be given.
fn service(endpoint: &str) -> &str {
    let url = endpoint.trim_end_matches('/');
    let service = url.strip_suffix("/auth/tokens").or_else(|| url.strip_suffix("/tokens"));
    service.unwrap_or(url).trim_end_matches('/')
}

/// All that is missing or contradictory. What hangs on values that are only named is left for later.
pub(super) fn faults(parms: &Parms) -> Vec<String> {
    let mut faults = Vec::new();
    if !parms.has(ENDPOINT) {
        faults.push(missing(ENDPOINT));
    }
    let named = |key| parms.has(key) && parms.known_now(key).is_none();
    match Version::of(parms) {
        _ if named("version") || named(ENDPOINT) && !parms.has("version") => {}
        Err(problem) => faults.push(problem),
        Ok(Version::V2) => faults_v2(parms, &mut faults),
        Ok(Version::V3) => faults_v3(parms, &mut faults),
    }
    if parms.known_now(ENDPOINT).is_some_and(|url| url.contains(['?', '#'])) {
        faults.push(format!("{ENDPOINT}: holds a query or a fragment"));
    }
    if !parms.has(SERVICE) && (parms.has("region") || parms.has("interface")) {
        faults.push(missing(SERVICE));
    }
    if parms.known_now("interface").is_some_and(|name| Wanted::interface(name).is_none()) {
        faults.push(UNKNOWN_INTERFACE.to_owned());
    }
    faults
}

/// What of the catalogue is wanted, or what is wrong with that.
pub(super) fn wanted(parms: &Parms) -> Result<Wanted, String> {
    let interface = if parms.has("interface") { parms.get("interface") } else { DEFAULT_INTERFACE };
    Ok(Wanted {
        service: parms.get(SERVICE).to_owned(),
        region: parms.has("region").then(|| parms.get("region").to_owned()),
        interface: Wanted::interface(interface).ok_or(UNKNOWN_INTERFACE)?,
    })
}

const UNKNOWN_INTERFACE: &str = "interface: allowed are public, internal and admin";

fn missing(key: &str) -> String {
    format!("`{key}` is missing")
}

fn faults_v2(parms: &Parms, faults: &mut Vec<String>) {
    let needed = ["user", "password", "tenantid"];
    faults.extend(needed.into_iter().filter(|key| !parms.has(key)).map(missing));
    let newer = parms.keys().filter(|key| KEYS.contains(key) && !KEYS_V2.contains(key));
    faults.extend(newer.map(|key| format!("`{key}` needs version=3, or `{ENDPOINT}` to end in /v3")));
}

fn faults_v3(parms: &Parms, faults: &mut Vec<String>) {
    let mut exclude = |one: &str, other: &str| {
        if parms.has(one) && parms.has(other) {
            faults.push(format!("`{one}` and `{other}` exclude each other"));
        }
    };
    let credential = ["applicationcredentialid", "applicationcredentialsecret"];
    if let Some(by) = credential.into_iter().find(|key| parms.has(key)) {
        for key in KEYS_PASSWORD {
            exclude(by, key);
        }
        faults.extend(credential.into_iter().filter(|key| !parms.has(key)).map(missing));
        return;
    }
    exclude("user", "userid");
    exclude("userdomain", "userdomainid");
    exclude("userid", "userdomain");
    exclude("userid", "userdomainid");
    exclude("projectid", "tenantid");
    exclude("projectid", "projectname");
    exclude("tenantid", "projectname");
    exclude("projectdomain", "projectdomainid");
    if !parms.has("user") && !parms.has("userid") {
        faults.push("`user` or `userid` is missing".to_owned());
    }
    if !parms.has("password") {
        faults.push(missing("password"));
    }
    if (parms.has("projectdomain") || parms.has("projectdomainid")) && !parms.has("projectname") {
        faults.push(missing("projectname"));
    }
}

/// The body of the request.
pub(super) fn body(version: Version, parms: &Parms) -> Value {
    if version == Version::V2 {
        let credentials = json!({"username": parms.get("user"), "password": parms.get("password")});
        return json!({"auth": {"passwordCredentials": credentials, "tenantId": parms.get("tenantid")}});
    }
    if parms.has("applicationcredentialid") {
        let [id, secret] =
            ["applicationcredentialid", "applicationcredentialsecret"].map(|key| parms.get(key));
        let credential = json!({"id": id, "secret": secret});
        let identity = json!({"methods": ["application_credential"], "application_credential": credential});
        return json!({"auth": {"identity": identity}});
    }
    let mut user = if parms.has("userid") {
        json!({"id": parms.get("userid")})
    } else {
        json!({"name": parms.get("user"), "domain": domain(parms, "userdomain", "userdomainid")})
    };
    user["password"] = parms.get("password").into();
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    // Without a scope, Keystone takes the user's default project if there is one.
    if let Some(project) = project(parms) {
        auth["scope"] = json!({"project": project});
    }
    json!({"auth": auth})
}

fn project(parms: &Parms) -> Option<Value> {
    if let Some(key) = ["projectid", "tenantid"].into_iter().find(|key| parms.has(key)) {
        return Some(json!({"id": parms.get(key)}));
    }
    let domain = || domain(parms, "projectdomain", "projectdomainid");
    parms.has("projectname").then(|| json!({"name": parms.get("projectname"), "domain": domain()}))
}

fn domain(parms: &Parms, name: &str, id: &str) -> Value {
    if parms.has(name) {
        return json!({"name": parms.get(name)});
    }
    json!({"id": if parms.has(id) { parms.get(id) } else { DEFAULT_DOMAIN }})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skypunch_actors::domain::Secret;

    use super::{
        super::{super::testing, KIND},
        *,
    };

    const V2: &str = "osauthendpoint=http://h:5000/v2.0,user=u,password=p,tenantid=t";
    const V3: &str = "osauthendpoint=http://h:5000/v3,user=u,password=p";

    fn parms(text: &str) -> Parms {
        Parms::read(Some(&Secret::new(text)), &KEYS).unwrap().0
    }

    fn asked(text: &str) -> (String, Value) {
        let parms = parms(text);
        let version = Version::of(&parms).unwrap();
        (version.url(parms.get(ENDPOINT)), body(version, &parms))
    }

    fn faults(text: &str) -> String {
        testing::faults(KIND, text).replace("authn_parms: ", "")
    }

    #[test]
    fn v2_is_asked_as_in_2013() {
        let credentials = json!({"username": "u", "password": "p"});
        let body = json!({"auth": {"passwordCredentials": credentials, "tenantId": "t"}});
        for path in ["", "/", "/tokens", "/tokens/"] {
            let asked = asked(&V2.replace("/v2.0", &format!("/v2.0{path}")));
            assert_eq!(asked, ("http://h:5000/v2.0/tokens".to_owned(), body.clone()), "{path}");
        }
        assert_eq!(asked(&V2.replace("/v2.0", "")).0, "http://h:5000/tokens");
    }

    #[test]
    fn v3_is_told_by_the_path_or_the_version() {
        let tokens = "http://h:5000/v3/auth/tokens";
        for path in ["/v3", "/v3/", "/v3/auth/tokens"] {
            assert_eq!(asked(&V3.replace("/v3", path)).0, tokens, "{path}");
        }
        let plain = V3.replace("/v3", "");
        assert_eq!(asked(&format!("{plain},version=3")).0, tokens);
        assert_eq!(
            asked(&format!("{},version=3", V3.replace("/v3", "/identity"))).0,
            "http://h:5000/identity/v3/auth/tokens"
        );
        let contradiction = "`version` contradicts the path of `osauthendpoint`";
        assert_eq!(faults(&format!("{V3},version=2.0")), contradiction);
        assert_eq!(faults(&format!("{V2},version=3")), contradiction);
        assert_eq!(faults(&format!("{V3},version=4")), "version: allowed are 2.0 and 3");
    }

    #[test]
    fn who_asks_v3_is_a_user_or_an_application_credential() {
        let identity = |more: &str| asked(&format!("{V3}{more}")).1["auth"]["identity"].clone();
        let user = |user: Value| json!({"methods": ["password"], "password": {"user": user}});
        assert_eq!(identity(""), user(json!({"name": "u", "domain": {"id": "default"}, "password": "p"})));
        assert_eq!(
            identity(",userdomain=Corp"),
            user(json!({"name": "u", "domain": {"name": "Corp"}, "password": "p"}))
        );
        assert_eq!(
            identity(",userdomainid=d1"),
            user(json!({"name": "u", "domain": {"id": "d1"}, "password": "p"}))
        );
        let by_id = asked(&V3.replace("user=u", "userid=u1")).1["auth"]["identity"].clone();
        assert_eq!(by_id, user(json!({"id": "u1", "password": "p"})));
        let credential = "osauthendpoint=http://h/v3,applicationcredentialid=c,applicationcredentialsecret=s";
        let identity = json!({
            "methods": ["application_credential"],
            "application_credential": {"id": "c", "secret": "s"},
        });
        assert_eq!(asked(credential).1, json!({"auth": {"identity": identity}}));
    }

    #[test]
    fn what_v3_is_asked_for_is_a_project_or_nothing() {
        let scope = |more: &str| asked(&format!("{V3}{more}")).1["auth"].get("scope").cloned();
        let project = |project: Value| Some(json!({"project": project}));
        assert_eq!(scope(""), None);
        assert_eq!(scope(",projectid=1"), project(json!({"id": "1"})));
        assert_eq!(scope(",tenantid=1"), project(json!({"id": "1"})));
        assert_eq!(scope(",projectname=n"), project(json!({"name": "n", "domain": {"id": "default"}})));
        assert_eq!(
            scope(",projectname=n,projectdomain=Corp"),
            project(json!({"name": "n", "domain": {"name": "Corp"}}))
        );
        assert_eq!(
            scope(",projectname=n,projectdomainid=d"),
            project(json!({"name": "n", "domain": {"id": "d"}}))
        );
    }

    #[test]
    fn all_that_is_missing_is_named() {
        assert_eq!(
            faults(""),
            "`osauthendpoint` is missing; `user` is missing; `password` is missing; `tenantid` is missing"
        );
        assert_eq!(
            faults("osauthendpoint=http://h/v3,projectdomain=d"),
            "`user` or `userid` is missing; `password` is missing; `projectname` is missing"
        );
        assert_eq!(
            faults("osauthendpoint=http://h/v3,applicationcredentialid=c"),
            "`applicationcredentialsecret` is missing"
        );
        let query = V3.replace("/v3", "/v3?key=hunter2,version=3");
        assert_eq!(faults(&query), "osauthendpoint: holds a query or a fragment");
        assert!(faults(&format!("{V3},passwd=hunter2")).starts_with("`passwd` is not known: osauth"));
        assert!(faults(&V3.replace("http://h:5000", "h:5000")).starts_with("osauthendpoint: is not an abs"));
    }

    #[test]
    fn all_that_contradicts_is_named() {
        let both = |one: &str, other: &str| format!("`{one}` and `{other}` exclude each other");
        for (more, one, other) in [
            ("userid=1", "user", "userid"),
            ("userdomain=a,userdomainid=b", "userdomain", "userdomainid"),
            ("projectid=1,tenantid=1", "projectid", "tenantid"),
            ("projectid=1,projectname=n", "projectid", "projectname"),
            ("tenantid=1,projectname=n", "tenantid", "projectname"),
            ("projectname=n,projectdomain=a,projectdomainid=b", "projectdomain", "projectdomainid"),
        ] {
            assert_eq!(faults(&format!("{V3},{more}")), both(one, other));
        }
        let credential = ",applicationcredentialid=c,applicationcredentialsecret=s";
        assert_eq!(
            faults(&format!("{V3}{credential}")),
            [both("applicationcredentialid", "user"), both("applicationcredentialid", "password")].join("; ")
        );
        assert_eq!(
            faults(&format!("{V2},projectname=n")),
            "`projectname` needs version=3, or `osauthendpoint` to end in /v3"
        );
    }

    #[test]
    fn a_service_of_the_catalogue_can_be_named() {
        for at in [V2, V3] {
            let wanted = |more: &str| wanted(&parms(&format!("{at},{more}")));
            let of = |region: Option<&str>, interface| {
                Ok(Wanted { service: "compute".to_owned(), region: region.map(str::to_owned), interface })
            };
            assert_eq!(wanted("service=compute"), of(None, "public"));
            assert_eq!(wanted("service=compute,region=R,interface=Admin"), of(Some("R"), "admin"));
            assert_eq!(faults(&format!("{at},service=compute,region=R,interface=internal")), "");
            assert_eq!(faults(&format!("{at},region=R")), "`service` is missing");
            assert_eq!(faults(&format!("{at},service=a,interface=publicURL")), UNKNOWN_INTERFACE);
            assert_eq!(faults(&format!("{at},service=env:A,region=env:B,interface=env:C")), "");
        }
        assert_eq!(asked(&format!("{V3},service=compute,region=R")), asked(V3));
    }

    #[test]
    fn what_is_only_named_is_judged_when_it_is_used() {
        assert_eq!(faults("osauthendpoint=env:OS_AUTH_URL,userid=u,password=file:/p"), "");
        assert_eq!(faults("osauthendpoint=file:/etc/v3,version=3,userid=u"), "`password` is missing");
        assert_eq!(faults("osauthendpoint=http://h/v3,user=env:OS_USERNAME,password=env:OS_PASSWORD"), "");
    }

    proptest! {
        #[test]
        fn any_parameters_are_read_or_refused(text in "(osauthendpoint=[^,]*,)?(version=[0-9v.]*,)?.*") {
            drop(testing::faults(KIND, &text));
        }
    }
}
