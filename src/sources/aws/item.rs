//! What the item of a reference means for Secrets Manager: a name, or an ARN with or without its last six characters
//! (docs.aws.amazon.com, "Secret name and ARN" and `GetSecretValue`).

use crate::diagnostic::Diagnostic;
use crate::manifest::SourceId;
use crate::sources::Item;

/// The longest name (API reference of `CreateSecret`).
const LONGEST_NAME: usize = 512;
/// What Secrets Manager appends to a name in an ARN: a hyphen and six random characters.
const SUFFIX: usize = 7;
/// The length of a version ID (`VersionId` of `GetSecretValue`); stages are usually shorter.
const VERSION_ID: std::ops::RangeInclusive<usize> = 32..=64;

/// A request to one region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// The reference, for messages.
    pub(super) reference: String,
    /// The region that has it.
    pub(super) region: String,
    /// The name or ARN, as the API takes it.
    pub(super) id: String,
    /// The version, if it is not the newest.
    pub(super) version: Option<Version>,
}

/// A version other than the newest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Version {
    /// The one with this staging label, e.g. `AWSPREVIOUS`.
    Stage(String),
    /// The one with this id.
    Id(String),
}

impl Wanted {
    /// Parses an item of a source in `region`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of(item: &Item, source: &SourceId, region: &str) -> Result<Self, Diagnostic> {
        let version = item.version.as_ref();
        let reference = item.reference(source).to_string();
        let region = if item.name.starts_with("arn:") {
            region_of(&item.name, region).map_err(|(fact, help)| Diagnostic::with_help(format!("{reference}: {fact}"), help.unwrap_or_else(|| {
                    "An ARN of a secret is `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX`; the last hyphen and its six characters can be omitted.".to_owned()
                })))?
        } else {
            check_name(&item.name).map_err(|fact| Diagnostic::with_help(format!("{reference}: {fact}"), "A name consists of at most 512 letters, digits and `/_+=.@-`; write it as `aws secretsmanager list-secrets` shows it."))?;
            region.to_owned()
        };
        let version = version.map(|version| {
            if VERSION_ID.contains(&version.len()) {
                Version::Id(version.clone())
            } else {
                Version::Stage(version.clone())
            }
        });
        Ok(Self { reference, region, id: item.name.clone(), version })
    }

    /// Whether a secret with this name and ARN is the requested one.
    pub(super) fn is(&self, name: Option<&str>, arn: Option<&str>) -> bool {
        if !self.is_arn() {
            return name == Some(self.id.as_str());
        }
        let Some(arn) = arn else { return false };
        let without_suffix = arn.len().checked_sub(SUFFIX).and_then(|end| arn.get(..end));
        arn == self.id || without_suffix == Some(self.id.as_str())
    }

    /// Whether it is requested by an ARN, and not by a name in the login's account.
    pub(super) fn is_arn(&self) -> bool {
        self.id.starts_with("arn:")
    }

    /// The resource in a policy that allows this.
    pub(super) fn resource(&self) -> String {
        let partition = partition(&self.region);
        match self.id.strip_prefix("arn:") {
            Some(_) => format!("{}*", self.id),
            None => format!("arn:{partition}:secretsmanager:{}:*:secret:{}-??????", self.region, self.id),
        }
    }
}

/// The partition of a region; that of the public regions if its name does not say otherwise
/// (docs.aws.amazon.com, "Amazon Resource Names", and the partitions that the SDKs know).
pub(in crate::sources) fn partition(region: &str) -> &'static str {
    const OTHERS: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    OTHERS.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, partition)| partition)
}

/// Whether a text looks like the name of a region: `eu-central-1`, `us-gov-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            words.len() >= 2
                && words.iter().all(letters)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        None => false,
    }
}

/// What is wrong with a name.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.len() > LONGEST_NAME {
        return Err(format!("the name has {} characters, which is too long for Secrets Manager", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    match name.chars().position(|c| !allowed(c)) {
        Some(at) => Err(format!("character {} of the name is not allowed in Secrets Manager", at + 1)),
        None => Ok(()),
    }
}

type Fault = (String, Option<String>);

/// The region of a secret's ARN.
fn region_of(arn: &str, home: &str) -> Result<String, Fault> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let [_, arn_partition, service, region, account, kind, name] = parts.as_slice() else {
        return Err(("it is not a complete ARN of a secret".to_owned(), None));
    };
    if *service != "secretsmanager" || *kind != "secret" {
        let said = if *service == "secretsmanager" { *kind } else { *service };
        return Err((format!("it is an ARN of something other than a secret ({})", shown(said)), None));
    }
    if !is_region(region) {
        return Err(("its region is not valid".to_owned(), None));
    }
    if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(("its account is not valid: an account ID has twelve digits".to_owned(), None));
    }
    check_name(name).map_err(|fact| (fact, None))?;
    if name.is_empty() {
        return Err(("it contains no secret name".to_owned(), None));
    }
    let (own, there) = (partition(home), partition(region));
    if *arn_partition != there || own != there {
        return Err((
            format!(
                "it is in the partition `{}`, but this source uses {home} in the partition `{own}`",
                shown(arn_partition)
            ),
            Some(
                "Credentials of one partition are not valid in another: add a source for it, `sources: { other: { kind: aws, region: … } }`, with its own credentials.".to_owned(),
            ),
        ));
    }
    Ok((*region).to_owned())
}

/// A part of an ARN if it can be shown: it may be a misplaced value.
fn shown(part: &str) -> &str {
    let harmless =
        part.len() <= 24 && part.bytes().all(|b| b.is_ascii_lowercase() || b"-0123456789".contains(&b));
    if harmless { part } else { "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, version: Option<&str>) -> Result<Wanted, Diagnostic> {
        let item = Item { name: name.to_owned(), version: version.map(str::to_owned) };
        Wanted::of(&item, &SourceId::parse("aws").unwrap(), "eu-central-1")
    }

    fn good(name: &str) -> Wanted {
        wanted(name, None).unwrap_or_else(|refusal| panic!("{name}: {}", refusal.fact))
    }

    #[test]
    fn a_malformed_item_is_told_what_is_wrong_with_it() {
        let long = "x".repeat(513);
        for (name, why) in [
            ("claude bot/key", "character 7 of the name"),
            ("claude-bot/schlüssel", "character 16 of the name"),
            (long.as_str(), "the name has 513 characters"),
            ("arn:aws:secretsmanager:eu-west-1", "not a complete ARN"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter:x", "something other than a secret (ssm)"),
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:rotation:x",
                "something other than a secret (rotation)",
            ),
            ("arn:aws:secretsmanager::123456789012:secret:x", "its region is not valid"),
            ("arn:aws:secretsmanager:eu-west-1:1234:secret:x", "twelve digits"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:", "contains no secret name"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a b", "character 2 of the name"),
            ("arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:x", "partition `aws-cn`"),
            ("arn:aws:secretsmanager:us-gov-east-1:123456789012:secret:x", "partition `aws`"),
            ("arn:aws-cn:secretsmanager:eu-west-1:123456789012:secret:x", "partition `aws-cn`"),
        ] {
            let refusal = wanted(name, None).expect_err(name);
            assert!(refusal.fact.starts_with(&format!("aws:{name}: ")), "{}", refusal.fact);
            assert!(refusal.fact.contains(why), "{}", refusal.fact);
            assert!(!refusal.help_text().is_empty());
        }
    }

    #[test]
    fn an_arn_leads_to_its_region_and_a_name_to_the_sources_own() {
        assert_eq!(good("/claude-bot/key_+=.@-").region, "eu-central-1");
        assert_eq!(
            good("arn:aws:secretsmanager:us-east-2:123456789012:secret:a/b-AbCdEf").region,
            "us-east-2"
        );
    }

    #[test]
    fn a_secret_is_known_by_its_name_its_arn_and_its_arn_without_the_end() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf";
        let is = |asked: &str| good(asked).is(Some("prod/db"), Some(arn));
        assert!(
            is("prod/db") && is(arn) && is("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db")
        );
        assert!(!is("prod/d") && !is("prod/db-AbCdEf"));
        assert!(!is("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod"));
        assert!(!good("prod/db").is(None, None));
    }

    #[test]
    fn a_version_is_an_id_by_its_length_and_a_stage_else() {
        let version = |text| wanted("x", Some(text)).map(|wanted| wanted.version).unwrap_or_default();
        let id = "7e3c0a51-6f0c-4a39-8d4b-3d1c56d5b8a7";
        assert_eq!(version("AWSPREVIOUS"), Some(Version::Stage("AWSPREVIOUS".into())));
        assert_eq!(version(id), Some(Version::Id(id.into())));
        assert_eq!(wanted("x", Some("AWSPREVIOUS")).map(|w| w.reference).unwrap(), "aws:x@AWSPREVIOUS");
    }

    #[test]
    fn regions_are_told_from_cities_and_zones() {
        for good in ["eu-central-1", "us-gov-west-1", "ap-southeast-12", "us-isob-east-1", "eusc-de-east-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in
            ["", "frankfurt", "eu-central-1a", "eu-central", "EU-CENTRAL-1", "eu--1", "https://eu-west-1"]
        {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
