//! Amazon's services that keep secrets, each with what settings and messages must know about it.

/// One of these services.
pub(super) struct Service {
    /// Its name, for messages.
    pub(super) name: &'static str,
    /// The first part of its hosts' names.
    pub(super) host: &'static str,
    /// The variables with an address other than Amazon's, by priority.
    pub(super) endpoints: [&'static str; 2],
    /// What makes it throttle less, for messages.
    pub(super) fewer_requests: &'static str,
}

/// AWS Secrets Manager.
pub(super) const SECRETS_MANAGER: Service = Service {
    name: "Secrets Manager",
    host: "secretsmanager",
    endpoints: ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"],
    fewer_requests: "With `secretsmanager:BatchGetSecretValue`, one request reads twenty secrets.",
};

/// Parameter Store, a part of AWS Systems Manager.
pub(super) const PARAMETER_STORE: Service = Service {
    name: "Parameter Store",
    host: "ssm",
    endpoints: ["AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"],
    fewer_requests: "With `ssm:GetParameters`, one request reads ten parameters; higher throughput is a setting of the account.",
};
