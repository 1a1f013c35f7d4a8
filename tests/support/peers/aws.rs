//! AWS as far as it can be had here: ministack, which checks signatures, IAM policies and the trust policies of roles, and
//! moto as a second opinion. Both are asked with the vendor's wire protocols, by bytes: what puts things there shares no
//! code with what is tested.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Peer, free_address, program, wire};

/// The account that everything is in.
pub const ACCOUNT: &str = "000000000000";
/// The region that is at home.
pub const REGION: &str = "eu-central-1";

/// An AWS of the test's own. It stops when it is dropped.
pub struct Aws {
    peer: Peer,
}

/// Keys of a user.
#[derive(Clone)]
pub struct Keys {
    /// The access key's id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

/// What was answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Aws {
    /// Starts ministack, with all its checks on.
    pub fn ministack() -> Self {
        let address = free_address();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program("CLAUDE_SECRETS_MINISTACK").with_file_name("python"));
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/peers/aws_standin.py"))
            // Nothing is written into the work tree.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(directory.path())
            .env("GATEWAY_PORT", address.port().to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", "secretsmanager,ssm,sts,iam")
            .env("AUTH", "true")
            .env("SFTP_ENABLED", "0")
            .env("IOT_MTLS_ENABLED", "0");
        Self { peer: Peer::start(command, address, directory) }
    }

    /// Starts moto. It lets everybody do everything.
    pub fn moto() -> Self {
        let address = free_address();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program("CLAUDE_SECRETS_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        Self { peer: Peer::start(command, address, directory) }
    }

    /// The account that everything in it belongs to.
    pub fn account(&self) -> String {
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let answer = self.send(REGION, "sts", "application/x-www-form-urlencoded", None, body);
        element(&answer.body, "Account")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.peer.address)
    }

    /// Does something with Secrets Manager as who may do everything.
    pub fn secrets(&self, region: &str, action: &str, body: &Value) -> Value {
        let answer = self.send(
            region,
            "secretsmanager",
            "application/x-amz-json-1.1",
            Some(action),
            &body.to_string(),
        );
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Does something with IAM as who may do everything. Returns the answer, which is XML.
    pub fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut body = format!("Action={action}&Version=2010-05-08");
        for (name, value) in parameters {
            body.extend(["&", name, "=", &escaped(value)]);
        }
        let answer = self.send(REGION, "iam", "application/x-www-form-urlencoded", None, &body);
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer.body
    }

    /// Stores a secret, or its next version. What is no text is stored as bytes. Returns its ARN.
    pub fn put(&self, name: &str, value: &[u8]) -> String {
        self.put_in(REGION, name, value)
    }

    /// As [`Aws::put`], in another region.
    pub fn put_in(&self, region: &str, name: &str, value: &[u8]) -> String {
        let mut body = match std::str::from_utf8(value) {
            Ok(text) => json!({ "SecretString": text }),
            Err(_) => json!({ "SecretBinary": BASE64.encode(value) }),
        };
        body["Name"] = json!(name);
        body["SecretId"] = json!(name);
        let body = body.to_string();
        let json = "application/x-amz-json-1.1";
        let mut answer = self.send(region, "secretsmanager", json, Some("CreateSecret"), &body);
        if answer.status != 200 {
            answer = self.send(region, "secretsmanager", json, Some("PutSecretValue"), &body);
        }
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        answer["ARN"].as_str().unwrap().to_owned()
    }

    /// Does something with Parameter Store as who may do everything.
    pub fn parameters(&self, region: &str, action: &str, body: &Value) -> Value {
        let target = format!("AmazonSSM.{action}");
        let json = "application/x-amz-json-1.1";
        let answer = self.send_to(region, "ssm", json, Some(&target), &body.to_string());
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Stores an encrypted parameter, or its next version.
    pub fn put_parameter(&self, name: &str, value: &str) {
        let body = json!({ "Name": name, "Value": value, "Type": "SecureString", "Overwrite": true });
        self.parameters(REGION, "PutParameter", &body);
    }

    /// Makes a user with one policy, and keys for it.
    pub fn user(&self, name: &str, statements: &Value) -> Keys {
        self.iam("CreateUser", &[("UserName", name)]);
        let policy = policy(statements);
        self.iam(
            "PutUserPolicy",
            &[("UserName", name), ("PolicyName", "of-the-test"), ("PolicyDocument", &policy)],
        );
        let keys = self.iam("CreateAccessKey", &[("UserName", name)]);
        Keys { id: element(&keys, "AccessKeyId"), secret: element(&keys, "SecretAccessKey") }
    }

    /// Makes a role with what it trusts and one policy. Returns its ARN.
    pub fn role(&self, name: &str, trust: &Value, statements: &Value) -> String {
        let (trust, policy) = (policy(trust), policy(statements));
        let made = self.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)]);
        self.iam(
            "PutRolePolicy",
            &[("RoleName", name), ("PolicyName", "of-the-test"), ("PolicyDocument", &policy)],
        );
        element(&made, "Arn")
    }

    fn send(&self, region: &str, service: &str, kind: &str, target: Option<&str>, body: &str) -> Answer {
        let target = target.map(|action| format!("{service}.{action}"));
        self.send_to(region, service, kind, target.as_deref(), body)
    }

    fn send_to(&self, region: &str, service: &str, kind: &str, target: Option<&str>, body: &str) -> Answer {
        let target = target.map(|target| format!("X-Amz-Target: {target}\r\n")).unwrap_or_default();
        // The key `test` is ministack's root, whose signature it does not look at.
        let message = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n{target}Content-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=test/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=none\r\n\
             Connection: close\r\n\r\n{body}",
            self.peer.address,
            body.len()
        );
        let (status, body) = wire::ask(self.peer.address, &message);
        Answer { status, body: String::from_utf8(body).unwrap() }
    }
}

impl Keys {
    /// The variables that name these keys, for a source with this beginning (`AWS_`).
    pub fn variables(&self, prefix: &str) -> Vec<(String, String)> {
        vec![
            (format!("{prefix}ACCESS_KEY_ID"), self.id.clone()),
            (format!("{prefix}SECRET_ACCESS_KEY"), self.secret.clone()),
        ]
    }
}

/// A statement that allows actions.
pub fn allow(actions: &[&str], resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource })
}

/// The ARNs of the secrets whose names start so, in all regions.
pub fn secrets_below(start: &str) -> String {
    format!("arn:aws:secretsmanager:*:{ACCOUNT}:secret:{start}*")
}

/// The ARNs of the parameters whose names start so, in all regions.
pub fn parameters_below(start: &str) -> String {
    format!("arn:aws:ssm:*:{ACCOUNT}:parameter{start}*")
}

/// What a role says that trusts the workflows of a repository, in both forms of their subjects.
pub fn trust(repository: &str) -> Value {
    let (owner, name) = repository.split_once('/').unwrap();
    json!([{
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {
            "Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"),
        },
        "Condition": {
            "StringEquals": { "token.actions.githubusercontent.com:aud": "sts.amazonaws.com" },
            "StringLike": { "token.actions.githubusercontent.com:sub": [
                format!("repo:{repository}:*"), format!("repo:{owner}@*/{name}@*:*"),
            ] },
        },
    }])
}

fn policy(statements: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> String {
    let text = xml.split(&format!("<{name}>")).nth(1).and_then(|rest| rest.split('<').next());
    text.unwrap_or_else(|| panic!("no {name} in {xml}")).to_owned()
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
