//! Values in the formats of real programs and clouds: which parts are secret, and which are not.

use data_encoding::BASE64;

use super::{Plan, Redactor};

/// A value, the parts that must be found by themselves, and those that must not count as secret.
struct Shape {
    what: &'static str,
    value: String,
    secret: &'static [&'static str],
    public: &'static [&'static str],
}

fn shape(
    what: &'static str,
    value: impl Into<String>,
    secret: &'static [&'static str],
    public: &'static [&'static str],
) -> Shape {
    Shape { what, value: value.into(), secret, public }
}

#[allow(clippy::too_many_lines)] // a table
fn shapes() -> Vec<Shape> {
    const AWS: &[&str] =
        &["appuser", "postgres", "redshift", "mongo", "db", "5432", "app", "example-1", "true"];
    let docker = format!(
        r#"{{"auths": {{"ghcr.io": {{"username": "robot", "auth": "{}", "email": "bot@example.com"}}}}}}"#,
        BASE64.encode(b"robot:s3same-0pen")
    );
    let kubernetes = format!(
        r#"{{"kind": "Secret", "metadata": {{"name": "app", "namespace": "web"}}, "data": {{".dockerconfigjson": "{}", "user": "YXBwdXNlcg=="}}}}"#,
        BASE64.encode(docker.as_bytes())
    );
    let deep = "{\"a\":[".repeat(300) + r#"{"password": "s3same-0pen"}"# + &"]}".repeat(300);
    let inner = serde_json::to_string(r#"{"password": "s3same-0pen", "user": "appuser"}"#).unwrap();
    let inmost = serde_json::to_string(&format!("{{\"inner\": {inner}}}")).unwrap();
    vec![
        shape(
            "RDS",
            r#"{"username": "appuser", "password": "s3same-0pen", "engine": "postgres", "host": "db", "port": 5432, "dbInstanceIdentifier": "example-1", "dbname": "app"}"#,
            &["s3same-0pen"],
            AWS,
        ),
        shape(
            "RDS, a plain password",
            r#"{"username": "appuser", "password": "sesame", "host": "app.c9akciq32rxy.us-east-1.rds.amazonaws.com"}"#,
            &["sesame"],
            &["appuser", "app.c9akciq32rxy.us-east-1.rds.amazonaws.com"],
        ),
        shape(
            "Redshift",
            r#"{"engine":"redshift","host":"dw.abc.eu-west-1.redshift.amazonaws.com","username":"appuser","password":"s3same-0pen","dbClusterIdentifier":"example-1","port":5439,"dbname":"analytics"}"#,
            &["s3same-0pen"],
            &["redshift", "appuser", "dw.abc.eu-west-1.redshift.amazonaws.com", "analytics", "example-1"],
        ),
        shape(
            "DocumentDB",
            r#"{"engine":"mongo","host":"docdb","username":"appuser","password":"s3same-0pen","port":27017,"ssl":true,"masterarn":"arn:aws:secretsmanager:us-east-1:123456789012:secret:master"}"#,
            &["s3same-0pen"],
            &["appuser", "docdb", "27017", "arn:aws:secretsmanager:us-east-1:123456789012:secret:master"],
        ),
        shape(
            "an OAuth client",
            r#"{"web":{"client_id":"1234567890-abc.apps.googleusercontent.com","project_id":"my-project-1","auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token","client_secret":"GOCSPX-aBcDeFgHiJkLmN","redirect_uris":["http://localhost:8080/callback"]}}"#,
            &["GOCSPX-aBcDeFgHiJkLmN"],
            &[
                "1234567890-abc.apps.googleusercontent.com",
                "my-project-1",
                "https://accounts.google.com/o/oauth2/auth",
                "https://oauth2.googleapis.com/token",
                "http://localhost:8080/callback",
            ],
        ),
        shape(
            "a service account",
            r#"{"type":"service_account","project_id":"my-project","private_key_id":"5f0e1d8b7a695f0e1d8b7a69","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----\n","client_email":"bot@my-project.iam.gserviceaccount.com","client_id":"123456789012345678901","auth_uri":"https://accounts.google.com/o/oauth2/auth","client_x509_cert_url":"https://www.googleapis.com/robot/v1/metadata/x509/bot%40my-project.iam.gserviceaccount.com","universe_domain":"googleapis.com"}"#,
            &["MIIEvQIBADANBgkqhkiG9w0B", "AQEFAASCBKcwggSjAgEAAoIB"],
            &[
                "service_account",
                "my-project",
                "5f0e1d8b7a695f0e1d8b7a69",
                "bot@my-project.iam.gserviceaccount.com",
                "123456789012345678901",
                "https://www.googleapis.com/robot/v1/metadata/x509/bot%40my-project.iam.gserviceaccount.com",
                "googleapis.com",
            ],
        ),
        shape(
            "Docker's logins",
            docker.clone(),
            &["s3same-0pen", "cm9ib3Q6czNzYW1lLTBwZW4="],
            &["robot", "ghcr.io", "bot@example.com"],
        ),
        shape(
            "a Kubernetes secret",
            kubernetes,
            &["s3same-0pen", "cm9ib3Q6czNzYW1lLTBwZW4="],
            &["appuser", "robot", "Secret"],
        ),
        shape("a whole value in base64", BASE64.encode(docker.as_bytes()), &["s3same-0pen"], &["robot"]),
        shape(
            "a kubeconfig",
            "apiVersion: v1\nkind: Config\nclusters:\n- name: prod-cluster\n  cluster:\n    server: https://k8s.example.com:6443\n    \
             certificate-authority-data: TFMwdExTMUNSVWRKVGlCRFJWSlVTVVpKUTBGVVJTMHQ=\nusers:\n- name: deployer\n  user:\n    \
             client-key-data: TFMwdExTMUNSVWRKVGlCU1UwRWdVRkpKVmtGVVJTQkw=\n    token: s3same-0pen\ncurrent-context: prod\n",
            &["TFMwdExTMUNSVWRKVGlCU1UwRWdVRkpKVmtGVVJTQkw=", "s3same-0pen"],
            &[
                "apiVersion: v1",
                "kind: Config",
                "prod-cluster",
                "- name: prod-cluster",
                "https://k8s.example.com:6443",
                "server: https://k8s.example.com:6443",
                "TFMwdExTMUNSVWRKVGlCRFJWSlVTVVpKUTBGVVJTMHQ=",
                "current-context: prod",
            ],
        ),
        shape(
            "outputs of Terraform",
            r#"{"db_password":{"sensitive":true,"type":"string","value":"sesame"},"out":{"sensitive":true,"type":"string","value":"plainword"},"db_host":{"sensitive":false,"type":"string","value":"db.example.com"},"db_user":{"sensitive":false,"type":"string","value":"appuser"}}"#,
            &["sesame", "plainword"],
            &["string", "db.example.com", "appuser"],
        ),
        shape(
            "a list of names and values",
            r#"[{"name":"DB_PASSWORD","value":"sesame"},{"name":"DB_USER","value":"appuser"}]"#,
            &["sesame"],
            &["DB_PASSWORD", "DB_USER", "appuser"],
        ),
        shape(
            "a number",
            r#"{"pin": 83746512, "port": 54321678, "retries": 10}"#,
            &["83746512"],
            &["54321678"],
        ),
        shape("a number of six digits", r#"{"pin": "837465"}"#, &["837465"], &[]),
        shape(
            "a number under a key that says nothing",
            r#"{"x": 83746512, "y": 86400000}"#,
            &["83746512"],
            &["86400000"],
        ),
        shape("JSON in JSON in JSON", format!("{{\"config\": {inmost}}}"), &["s3same-0pen"], &["appuser"]),
        shape("JSON deeper than parsers go", deep, &["s3same-0pen"], &[]),
        shape(
            "lines of JSON",
            "{\"user\":\"appuser\",\"password\":\"s3same-0pen\"}\n{\"user\":\"other\",\"token\":\"t0ken-0f-line2\"}\n",
            &["s3same-0pen", "t0ken-0f-line2"],
            &["appuser", "other"],
        ),
        shape(
            "pretty JSON",
            "{\n  \"username\": \"appuser\",\n  \"password\": \"s3same-0pen\",\n  \"engine\": \"postgres\"\n}\n",
            &["s3same-0pen", "\"password\": \"s3same-0pen\","],
            &["\"username\": \"appuser\",", "appuser"],
        ),
        shape(
            "a DSN",
            "postgres://appuser:s3same%2F0pen@db.example.com:5432/app",
            &["s3same%2F0pen", "s3same/0pen"],
            &["appuser", "db.example.com", "app"],
        ),
        shape(
            "a DSN in JSON",
            r#"{"url":"mysql://appuser:s3same-0pen@db/app","user":"appuser"}"#,
            &["s3same-0pen", "mysql://appuser:s3same-0pen@db/app"],
            &["appuser"],
        ),
        shape(
            "user:password@",
            "appuser:s3same-0pen@tcp(db:3306)/app",
            &["s3same-0pen"],
            &["appuser", "tcp(db:3306)/app"],
        ),
        shape(
            "a token in a URL",
            "https://ghp_16C7e42F292c6912E7@github.com/o/r",
            &["ghp_16C7e42F292c6912E7"],
            &["github.com"],
        ),
        shape(
            "a web hook",
            r#"{"webhook_url":"https://hooks.slack.com/services/T0/B0/aB3dE5gH7jK9mN1pQ3sT5vX7","channel":"alerts"}"#,
            &["https://hooks.slack.com/services/T0/B0/aB3dE5gH7jK9mN1pQ3sT5vX7"],
            &["alerts"],
        ),
        shape(
            ".netrc",
            "machine db.example.com\nlogin appuser\npassword s3same-0pen\n",
            &["s3same-0pen"],
            &["appuser", "login appuser", "machine db.example.com", "db.example.com"],
        ),
        shape(
            "ODBC",
            "Driver={ODBC Driver 18};Server=tcp:db,1433;Database=app;Uid=appuser;Pwd={s3;same};Encrypt=yes;",
            &["s3;same"],
            &["appuser", "app", "tcp:db,1433"],
        ),
        shape(
            "ADO.NET",
            "Server=db;User Id=appuser;Password=s3same-0pen;Encrypt=True",
            &["s3same-0pen"],
            &["appuser", "db"],
        ),
        shape(
            "a key of Azure Storage",
            "DefaultEndpointsProtocol=https;AccountName=store;AccountKey=QWJjZGVmZ2hpams0Mg==;EndpointSuffix=core.windows.net",
            &["QWJjZGVmZ2hpams0Mg=="],
            &["store", "core.windows.net"],
        ),
        shape("libpq", "host=db user=appuser password='s3 same' dbname=app", &["s3 same"], &["appuser"]),
        shape(
            "lines of a dotenv file",
            "# of the app\nDB_USER=appuser\nexport DB_PASSWORD=\"s3same-0pen\"\nDB_HOST=db.example.com\nDATABASE_URL=postgres://appuser:0ther-pass@db/app\n",
            &["s3same-0pen", "0ther-pass"],
            &["DB_USER=appuser", "appuser", "DB_HOST=db.example.com", "db.example.com"],
        ),
        shape(
            "a certificate beside its key",
            "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBg\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAA\n-----END PRIVATE KEY-----\n",
            &["MIIEvQIBADANBgkqhkiG9w0BAQEFAA"],
            &["MIIDdzCCAl+gAwIBAgIEAgAAuTANBg"],
        ),
        shape("a plain word", "appuser", &["appuser"], &[]),
        shape("a string in quotes", r#""sesame open""#, &["sesame open"], &[]),
        shape(
            "a key that nobody listed",
            r#"{"frobnicator": "aB3dE5gH7jK9mN1p", "color": "blue"}"#,
            &["aB3dE5gH7jK9mN1p"],
            &["blue"],
        ),
    ]
}

#[test]
fn of_real_values_the_secret_parts_are_secret_and_nothing_else() {
    for Shape { what, value, secret, public } in shapes() {
        let redactor = Redactor::new(&Plan::new([("S", value.as_bytes())]));
        assert_eq!(redactor.names_in(value.as_bytes()), ["S"], "{what}: the whole");
        for part in secret {
            assert_eq!(redactor.names_in(format!("x: {part}").as_bytes()), ["S"], "{what}: {part}");
            assert_eq!(redactor.redact_text(part), "***", "{what}: {part}");
            let encoded = BASE64.encode(format!("user:{part}").as_bytes());
            assert_eq!(redactor.names_in(encoded.as_bytes()), ["S"], "{what}: {part} in base64");
        }
        for part in public {
            assert_eq!(redactor.names_in(part.as_bytes()), [""; 0], "{what}: {part}");
        }
    }
}

#[test]
fn everyday_words_beside_a_secret_stay_in_the_log() {
    let value = r#"{"username": "appuser", "password": "s3same-0pen", "engine": "postgres", "host": "db", "port": 5432}"#;
    let redactor = Redactor::new(&Plan::new([("DATABASE", value.as_bytes())]));
    let line = "appuser connects to postgres at db:5432 with s3same-0pen";
    assert_eq!(redactor.redact_text(line), "appuser connects to postgres at db:5432 with ***");
}

#[test]
fn what_is_hidden_in_the_log_alone_is_secret_as_soon_as_another_value_says_so() {
    let values: [(&str, &[u8]); 2] =
        [("CONFIG", br#"{"client_id": "a1b2c3d4e5f6a7b8c9d0"}"#), ("CLIENT_ID", b"a1b2c3d4e5f6a7b8c9d0")];
    let redactor = Redactor::new(&Plan::new(values));
    assert_eq!(redactor.names_in(b"a1b2c3d4e5f6a7b8c9d0"), ["CLIENT_ID"]);
    let redactor = Redactor::new(&Plan::new([values[0]]));
    assert_eq!(redactor.names_in(b"a1b2c3d4e5f6a7b8c9d0"), [""; 0]);
    assert_eq!(redactor.redact_text("a1b2c3d4e5f6a7b8c9d0"), "***");
}
