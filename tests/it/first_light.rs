//! The main job, with real servers at every step: a row in the database becomes an alert in the mailbox.

use crate::{
    harness::{Daemon, Home},
    support::{
        operator::{Operator, on_mariadb, on_sqlite},
        postfix::{self, Postfix},
        site::Site,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_and_its_return_reach_the_mailbox_from_the_embedded_database() {
    let (operator, home) = on_sqlite();
    first_light(operator, home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_and_its_return_reach_the_mailbox_from_mariadb() {
    let (operator, home) = on_mariadb().await;
    first_light(operator, home).await;
}

async fn first_light(operator: Operator, mut home: Home) {
    let mail = Postfix::start().await;
    let mut alpha = Site::start().await;
    let beta = Site::start().await;
    home.env("SSL_CERT_FILE", mail.ca_file().display().to_string());
    home.env("MAIL_PASSWORD", postfix::PASSWORD);
    let daemon = Daemon::start_in(home).await;
    operator
        .sql(&format!(
            "INSERT INTO targets (name, url, frequency) VALUES ('alpha', '{}', 1), ('beta', '{}', 1);
             INSERT INTO notifiers (name, type, address, params) VALUES
                 ('ops', 'SMTP', 'ops@example.org',
                  'server={},port={},user={},password=env:MAIL_PASSWORD');",
            alpha.url(),
            beta.url(),
            mail.ip(),
            postfix::STARTTLS,
            postfix::USER,
        ))
        .await;
    operator.wait_for("SELECT count(*) FROM targets WHERE status = 'PASS'", "2").await;

    alpha.kill();
    let failed = mail.mail_about("ops", "FAIL alpha: connection refused by 127.0.0.1").await;
    assert!(failed.contains("Content-Type: text/plain") && failed.contains("Content-Type: text/html"));
    assert!(failed.contains("Connection [FAIL] reason: connection refused by 127.0.0.1"), "{failed}");
    operator.wait_for("SELECT status FROM targets WHERE name = 'alpha'", "FAIL").await;
    operator.wait_for("SELECT cause FROM targets WHERE name = 'alpha'", "connect").await;
    operator.wait_for("SELECT status FROM targets WHERE name = 'beta'", "PASS").await;

    alpha.launch().await;
    mail.mail_about("ops", "RECOVERY alpha: 200 OK (was failing for").await;
    operator.wait_for("SELECT status FROM targets WHERE name = 'alpha'", "PASS").await;
    operator.wait_for("SELECT previous_status FROM targets WHERE name = 'alpha'", "FAIL").await;
    operator.wait_for("SELECT pass_count FROM notifiers", "2").await;
    operator.wait_for("SELECT fail_count FROM notifiers", "0").await;
    operator.wait_for("SELECT count(*) FROM incidents WHERE ended_at IS NOT NULL", "1").await;
    let log = daemon.home.log();
    assert!(log.contains("FAIL (connection refused by 127.0.0.1"), "{log}");
    assert!(log.contains("beta") && !log.contains("[2] beta FAIL"), "{log}");
}
