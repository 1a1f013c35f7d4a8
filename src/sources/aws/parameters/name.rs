//! What the item of a reference means for Parameter Store: a name, or an ARN; and its version, a number or a label
//! (docs.aws.amazon.com, "Requirements and constraints for parameter names" and `GetParameters`).

use super::super::item::{is_region, partition};
use crate::diagnostic::Diagnostic;
use crate::manifest::SourceId;
use crate::sources::Item;

/// The longest name, with what an ARN has before it (`PutParameter`).
const LONGEST_NAME: usize = 1011;
/// The most levels of a name.
const MOST_LEVELS: usize = 15;

/// A request to one region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// The reference, for messages.
    pub(super) reference: String,
    /// The region that has it.
    pub(super) region: String,
    /// The name or ARN, as the API takes it.
    pub(super) name: String,
    /// The version's number, or its label.
    pub(super) version: Option<String>,
}

impl Wanted {
    /// Parses an item of a source in `region`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of(item: &Item, source: &SourceId, region: &str) -> Result<Self, Diagnostic> {
        let reference = item.reference(source).to_string();
        let (region, name) = match item.name.strip_prefix("arn:") {
            Some(_) => {
                let (region, name) = of_arn(&item.name, region).map_err(|fact| {
                    Diagnostic::with_help(
                        format!("{reference}: {fact}"),
                        "An ARN of a parameter is `arn:aws:ssm:REGION:ACCOUNT:parameter/NAME`. One of another partition needs a source with credentials of its own.",
                    )
                })?;
                (region.to_owned(), name)
            }
            None => (region.to_owned(), item.name.as_str()),
        };
        check_name(name).map_err(|fact| {
            Diagnostic::with_help(
                format!("{reference}: {fact}"),
                "A name consists of letters, digits and `_.-`, and begins with `/` if it has levels: `/claude-bot/api-key`. `aws ssm describe-parameters` shows it.",
            )
        })?;
        Ok(Self { reference, region, name: item.name.clone(), version: item.version.clone() })
    }

    /// What the API takes: the name, and after a colon the version.
    pub(super) fn selected(&self) -> String {
        match &self.version {
            Some(version) => format!("{}:{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether a parameter with this name and ARN is the requested one.
    pub(super) fn is(&self, name: Option<&str>, arn: Option<&str>) -> bool {
        [name, arn].contains(&Some(self.name.as_str()))
    }

    /// The resource in a policy that allows this.
    pub(super) fn resource(&self) -> String {
        if self.name.starts_with("arn:") {
            return self.name.clone();
        }
        format!("arn:{}:ssm:{}:*:parameter{}", partition(&self.region), self.region, rooted(&self.name))
    }
}

/// A name as it is in an ARN: with a slash at its beginning.
pub(super) fn rooted(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}

/// What is wrong with a name.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.len() > LONGEST_NAME {
        return Err(format!("the name has {} characters, which is too long for Parameter Store", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if let Some(at) = name.chars().position(|c| !allowed(c)) {
        return Err(format!("character {} of the name is not allowed in Parameter Store", at + 1));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err("a name with levels begins with `/`".to_owned());
    }
    if name.split('/').count() > MOST_LEVELS + 1 {
        return Err(format!("the name has more than {MOST_LEVELS} levels"));
    }
    Ok(())
}

/// The region and the name in a parameter's ARN.
fn of_arn<'a>(arn: &'a str, home: &str) -> Result<(&'a str, &'a str), String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, arn_partition, service, region, account, resource] = parts.as_slice() else {
        return Err("it is not a complete ARN of a parameter".to_owned());
    };
    let name = resource.strip_prefix("parameter").filter(|name| name.starts_with('/') && name.len() > 1);
    let (Some(name), "ssm") = (name, *service) else {
        return Err("it is an ARN of something other than a parameter".to_owned());
    };
    if !is_region(region) {
        return Err("its region is not valid".to_owned());
    }
    if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
        return Err("its account is not valid: an account ID has twelve digits".to_owned());
    }
    if *arn_partition != partition(region) || partition(home) != partition(region) {
        return Err(format!("it is in another partition than this source, which uses {home}"));
    }
    Ok((region, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, version: Option<&str>) -> Result<Wanted, Diagnostic> {
        let item = Item { name: name.to_owned(), version: version.map(str::to_owned) };
        Wanted::of(&item, &SourceId::parse("ssm").unwrap(), "eu-central-1")
    }

    #[test]
    fn a_malformed_item_is_told_what_is_wrong_with_it() {
        let (long, deep) = ("x".repeat(1012), "/x".repeat(16));
        for (name, why) in [
            ("/claude bot/key", "character 8 of the name"),
            ("/claude-bot/schlüssel", "character 17 of the name"),
            ("claude-bot/key", "begins with `/`"),
            (long.as_str(), "the name has 1012 characters"),
            (deep.as_str(), "more than 15 levels"),
            ("arn:aws:ssm:eu-west-1", "not a complete ARN"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:x", "something other than a parameter"),
            ("arn:aws:ssm:eu-west-1:123456789012:document/x", "something other than a parameter"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/", "something other than a parameter"),
            ("arn:aws:ssm::123456789012:parameter/x", "its region is not valid"),
            ("arn:aws:ssm:eu-west-1:1234:parameter/x", "twelve digits"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/a b", "character 3 of the name"),
            ("arn:aws-cn:ssm:cn-north-1:123456789012:parameter/x", "another partition"),
            ("arn:aws:ssm:us-gov-east-1:123456789012:parameter/x", "another partition"),
        ] {
            let refusal = wanted(name, None).expect_err(name);
            assert!(refusal.fact.starts_with(&format!("ssm:{name}: ")), "{}", refusal.fact);
            assert!(refusal.fact.contains(why), "{}", refusal.fact);
            assert!(!refusal.help_text().is_empty());
        }
    }

    #[test]
    fn a_parameter_is_known_by_its_name_or_its_arn() {
        let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db";
        let is = |asked: &str| wanted(asked, None).unwrap().is(Some("/prod/db"), Some(arn));
        assert!(is("/prod/db") && is(arn) && !is("/prod/d"));
        assert_eq!(wanted(arn, Some("3")).unwrap().selected(), format!("{arn}:3"));
        assert_eq!(wanted(arn, None).unwrap().region, "eu-west-1");
        assert_eq!(wanted("/a/b", Some("live")).unwrap().selected(), "/a/b:live");
    }

    #[test]
    fn a_policy_names_the_parameter_alone() {
        let of = |name: &str| wanted(name, None).unwrap().resource();
        assert_eq!(of("/a/b"), "arn:aws:ssm:eu-central-1:*:parameter/a/b");
        assert_eq!(of("b"), "arn:aws:ssm:eu-central-1:*:parameter/b");
        assert_eq!(
            of("arn:aws:ssm:eu-west-1:123456789012:parameter/b"),
            "arn:aws:ssm:eu-west-1:123456789012:parameter/b"
        );
    }
}
