//! What an operator means by a word: `fra`, `app.example.com`, `app.example.com@fra`. Only the engine knows which
//! names are sites and which are services, so nobody has to fetch them all to ask for a drain.

use super::{CommandError, Engine};
use crate::dns::Name;
use crate::model::{Config, SiteId};
use crate::policy::{Scope, Target};

impl Engine {
    /// The scope that an operator means. One that is to be cleared may have outlived its site or service.
    ///
    /// # Errors
    ///
    /// Where the word is neither a site nor a service, or both.
    pub fn resolve(&self, target: &Target, clears: bool) -> Result<Scope, CommandError> {
        let word = match target {
            Target::Scope(scope) => return Ok(scope.clone()),
            Target::Word(word) => word,
        };
        if clears {
            let mut in_force = self.overrides.keys().filter(|scope| scope.to_string() == *word);
            if let (Some(scope), None) = (in_force.next(), in_force.next()) {
                return Ok(scope.clone());
            }
        }
        let sites = self.config.iter().flat_map(|config| &config.sites).map(|site| &site.id);
        scope_of(word, &sites.collect::<Vec<_>>(), |name| self.services.contains_key(name))
    }
}

/// The scope that a word means under a configuration.
///
/// # Errors
///
/// Where the word is neither a site nor a service, or both.
pub fn meant(word: &str, config: &Config) -> Result<Scope, CommandError> {
    let is_service = |name: &Name| config.services.iter().any(|service| service.name == *name);
    scope_of(word, &config.sites.iter().map(|site| &site.id).collect::<Vec<_>>(), is_service)
}

/// The scope that a word means among these sites and services. A name with a dot at its end is never a site.
///
/// # Errors
///
/// Where the word is neither a site nor a service, or both.
pub fn scope_of(
    word: &str,
    sites: &[&SiteId],
    is_service: impl Fn(&Name) -> bool,
) -> Result<Scope, CommandError> {
    let find = |text: &str| sites.iter().copied().find(|known| ***known == *text);
    let known = || sites.iter().map(|site| &***site).collect::<Vec<_>>().join(", ");
    let service = |text: &str| text.parse().ok().filter(|name| is_service(name));
    if let Some((name, site)) = word.rsplit_once('@') {
        let no_service =
            || CommandError::NoTarget(format!("there is no service \"{name}\"; `detour status` lists them"));
        let name = service(name).ok_or_else(no_service)?;
        let site = find(site).ok_or_else(|| CommandError::NoSite(site.into(), known()))?;
        return Ok(Scope::Endpoint(name, site.clone()));
    }
    match (find(word), service(word)) {
        (Some(_), Some(_)) => Err(CommandError::NotUsable(format!(
            "\"{word}\" is a site and a service: write \"{word}.\" for the service"
        ))),
        (Some(site), None) => Ok(Scope::Site(site.clone())),
        (None, Some(name)) => Ok(Scope::Service(name)),
        (None, None) => Err(CommandError::NoTarget(format!(
            "\"{word}\" is neither a service (`detour status` lists them) nor a site ({})",
            known()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_site_or_a_service() {
        let app: Name = "app.example.com".parse().expect("a name");
        let sites: [SiteId; 3] = ["fra".into(), "iad".into(), "both.example.com".into()];
        let both: Name = "both.example.com".parse().expect("a name");
        let scope = |word: &str| scope_of(word, &sites.each_ref(), |name| *name == app || *name == both);
        assert_eq!(scope("fra"), Ok(Scope::Site("fra".into())));
        assert_eq!(scope("APP.example.com"), Ok(Scope::Service(app.clone())));
        assert_eq!(scope("app.example.com@iad"), Ok(Scope::Endpoint(app.clone(), "iad".into())));
        assert_eq!(scope("both.example.com."), Ok(Scope::Service(both.clone())));
        let check = |word: &str, part: &str| {
            let error = scope(word).expect_err("no scope").to_string();
            assert!(error.contains(part), "{word}: {error}");
        };
        check(
            "muc",
            "neither a service (`detour status` lists them) nor a site (fra, iad, both.example.com)",
        );
        check("app.example.com@muc", "there is no site \"muc\"; the configuration has fra, iad");
        check("x@fra", "there is no service \"x\"");
        check("a..b", "neither");
        check("both.example.com", "is a site and a service");
    }
}
