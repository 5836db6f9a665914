//! Where the target of a row is: at a URL, or below one that a catalogue gives.

use std::sync::Arc;

use skypunch_actors::domain::Fault;
use url::Url;

use crate::{
    net::{Endpoint, EndpointError},
    probe::auth::Auth,
};

/// The column `url`.
pub(super) enum Site {
    /// A URL.
    Url(Arc<Endpoint>),
    /// A path, with its query, to be appended to a URL.
    Path(String),
}

impl Site {
    /// Reads the column.
    pub(super) fn read(url: &str) -> Result<Self, Fault> {
        if !url.starts_with('/') {
            return Endpoint::parse(url).map(Arc::new).map(Self::Url).map_err(|error| fault(&error));
        }
        // A path is right if it is right below any host.
        Endpoint::parse(&format!("http://host{url}")).map_err(|error| fault(&error))?;
        Ok(Self::Path(url.to_owned()))
    }

    /// What is wrong with it for want of a catalogue, or beside one.
    pub(super) fn misfit(&self, auth: &dyn Auth) -> Option<Fault> {
        let problem = match (self, auth.locator()) {
            (Self::Path(_), None) => {
                "is a path, which needs authn OPENSTACK with a `service` in authn_parms: else write https://…"
            }
            (Self::Url(_), Some(_)) => {
                "must be a path such as /servers: the `service` in authn_parms says what is before it"
            }
            (Self::Path(_), Some(_)) | (Self::Url(_), None) => return None,
        };
        Some(Fault::new("url", problem))
    }

    /// The path of this site below a URL, which has neither query nor fragment.
    pub(super) fn below(&self, above: &Url) -> Result<Arc<Endpoint>, Fault> {
        let Self::Path(path) = self else { unreachable!("a URL stands by itself") };
        let url = format!("{}{path}", above.as_str().trim_end_matches('/'));
        Endpoint::parse(&url).map(Arc::new).map_err(|error| fault(&error))
    }
}

fn fault(error: &EndpointError) -> Fault {
    let problem = match error {
        EndpointError::Userinfo => "holds credentials: put credentials in authn_parms".to_owned(),
        error => error.to_string(),
    };
    Fault::new("url", problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn below(path: &str, above: &str) -> String {
        let endpoint = Site::read(path).ok().unwrap().below(&Url::parse(above).unwrap());
        endpoint.unwrap().url().to_string()
    }

    #[test]
    fn a_path_is_appended() {
        assert_eq!(below("/servers?limit=1", "http://h:8774/v2.1"), "http://h:8774/v2.1/servers?limit=1");
        assert_eq!(below("/servers", "http://h:8774/v2.1/"), "http://h:8774/v2.1/servers");
        assert_eq!(below("/v2.1/servers", "https://h"), "https://h/v2.1/servers");
        assert_eq!(below("/", "http://h/v3/t1"), "http://h/v3/t1/");
    }

    #[test]
    fn a_path_does_not_lead_to_another_host() {
        for path in ["//evil.example/", "/@evil.example/", "/\\evil.example", "/../../x", "/:80@evil.example"]
        {
            assert!(below(path, "http://h").starts_with("http://h/"), "{path}");
        }
    }

    #[test]
    fn what_no_request_can_carry_is_a_fault() {
        let fault = Site::read("/a\nb").err().unwrap().to_string();
        assert!(fault.starts_with("url: is not an absolute URL"), "{fault}");
    }

    proptest! {
        #[test]
        fn any_path_is_a_site_or_a_fault(path in "/.*") {
            if let Ok(site) = Site::read(&path) {
                let above = Url::parse("http://h:8774/v2.1").unwrap();
                let endpoint = site.below(&above).unwrap();
                prop_assert_eq!(endpoint.url().host_str(), Some("h"));
            }
        }
    }
}
