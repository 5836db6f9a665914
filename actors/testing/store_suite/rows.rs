//! What is guaranteed of rows as operators know them.

use std::sync::Arc;

use super::{
    Subject,
    given::{add_notifier, add_target, failed, notifiers, only, targets, write},
};
use crate::{
    domain::{NotifierDefinition, NotifierId, Secret, TargetDefinition, TargetId, TargetState},
    port::{Revision, Store, StoreError},
};

/// A row inserted with its name and URL alone is a target, and likewise a notifier.
pub async fn a_bare_insert_gets_the_defaults(Subject { store, operator }: &Subject) {
    operator.insert_target("home", "https://example.org/").await;
    operator.insert_notifier("ops", "SMTP", "ops@example.org").await;
    let target = only(targets(store).await);
    assert_eq!(target.definition, TargetDefinition::new("home", "https://example.org/"));
    assert_eq!(format!("{:?}", target.state), format!("{:?}", TargetState::default()));
    let notifier = only(notifiers(store).await);
    assert_eq!(notifier.definition, NotifierDefinition::new("ops", "SMTP", "ops@example.org"));
    assert_eq!((notifier.pass_count, notifier.fail_count), (0, 0));
}

/// Rows come in the order of their ids.
pub async fn rows_are_loaded_by_id(Subject { store, .. }: &Subject) {
    for name in ["c", "a", "b"] {
        add_target(store, name).await;
        add_notifier(store, name).await;
    }
    let loaded = targets(store).await;
    assert!(loaded.is_sorted_by_key(|row| row.id));
    assert_eq!(loaded.iter().map(|row| row.definition.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    assert!(notifiers(store).await.is_sorted_by_key(|row| row.id));
}

/// Every column of a definition is stored.
pub async fn a_definition_is_kept_as_it_was_added(Subject { store, .. }: &Subject) {
    let target = TargetDefinition {
        tenantid: "17".to_owned(),
        method: "head".to_owned(),
        authn: "BASIC".to_owned(),
        authn_parms: Some(Secret::new("user=bob,password=\"a,b\"")),
        pass_result: "200-299,404".to_owned(),
        frequency: 1,
        timeout: 3,
        enabled: false,
        options: Some(Secret::new(r#"{"tags":["a"]}"#)),
        ..TargetDefinition::new("home", "https://example.org/?q=1")
    };
    let id = store.add_target(&target).await.expect("the name is free");
    let row = only(targets(store).await);
    assert_eq!((row.id, row.definition), (id, target));

    let notifier = NotifierDefinition {
        params: Secret::new("server=mail,port=25"),
        enabled: false,
        options: Some(Secret::new("{}")),
        ..NotifierDefinition::new("ops", "smtp", "ops@example.org")
    };
    let id = store.add_notifier(&notifier).await.expect("the name is free");
    let row = only(notifiers(store).await);
    assert_eq!((row.id, row.definition), (id, notifier));
}

/// Names and parameters may hold any character, and are never taken for SQL.
pub async fn any_text_is_kept(Subject { store, .. }: &Subject) {
    let names =
        ["Zürich", "東京 🗼", "مرحبا", "O'Hara \\ \"x\"; DROP TABLE targets; --", "a\nb\tc", "?", "%s :name"];
    for name in names {
        let mut definition = TargetDefinition::new(name, format!("http://x/{name}"));
        definition.authn_parms = Some(Secret::new(name));
        store.add_target(&definition).await.expect("any text is a name");
    }
    let rows = targets(store).await;
    assert_eq!(rows.iter().map(|row| row.definition.name.as_str()).collect::<Vec<_>>(), names);
    assert!(rows.iter().all(|row| row.definition.authn_parms == Some(Secret::new(&*row.definition.name))));
}

/// A name is taken byte by byte.
pub async fn a_taken_name_is_refused(Subject { store, .. }: &Subject) {
    add_target(store, "home").await;
    add_notifier(store, "home").await;
    let again = store.add_target(&TargetDefinition::new("home", "http://other/")).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let again = store.add_notifier(&NotifierDefinition::new("home", "SMTP", "x")).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    for other in ["Home", "home ", "hôme"] {
        add_target(store, other).await;
        add_notifier(store, other).await;
    }
}

/// Two daemons that add one name at the same moment do not both succeed.
pub async fn of_two_who_add_one_name_at_once_one_is_refused(Subject { store, operator }: &Subject) {
    let other = operator.second_store().await;
    for round in 0..5 {
        let definition = TargetDefinition::new(format!("home {round}"), "http://h/");
        let (one, two) = tokio::join!(store.add_target(&definition), other.add_target(&definition));
        let refused = [&one, &two].into_iter().filter(|added| matches!(added, Err(StoreError::Conflict)));
        assert_eq!((refused.count(), one.is_ok() || two.is_ok()), (1, true), "{one:?} {two:?}");
    }
}

/// What was kept of a target that is gone never falls to another.
pub async fn an_id_is_never_given_twice(Subject { store, .. }: &Subject) {
    let first = add_target(store, "first").await;
    store.delete_target(first).await.expect("it is there");
    assert!(add_target(store, "second").await > first);
}

/// The commands do what they say, also where there is nothing left to do.
pub async fn rows_are_enabled_disabled_and_deleted(Subject { store, .. }: &Subject) {
    let (target, notifier) = (add_target(store, "home").await, add_notifier(store, "ops").await);
    for enabled in [false, false, true] {
        store.enable_target(target, enabled).await.expect("it is there");
        store.enable_notifier(notifier, enabled).await.expect("it is there");
        assert_eq!(only(targets(store).await).definition.enabled, enabled);
        assert_eq!(only(notifiers(store).await).definition.enabled, enabled);
    }
    store.delete_target(target).await.expect("it is there");
    store.delete_notifier(notifier).await.expect("it is there");
    assert!(targets(store).await.is_empty());
    assert!(notifiers(store).await.is_empty());
}

/// Another definition replaces every column of the old one, and no column that the daemon owns.
pub async fn a_definition_is_replaced_and_nothing_else(Subject { store, .. }: &Subject) {
    let (target, notifier) = (add_target(store, "home").await, add_notifier(store, "ops").await);
    let (other, other_notifier) = (add_target(store, "other").await, add_notifier(store, "other").await);
    write(store, 1, [(target, failed("connection refused"))]).await;
    let before = targets(store).await;

    let definition = TargetDefinition {
        tenantid: "17".to_owned(),
        method: "HEAD".to_owned(),
        authn: "BASIC".to_owned(),
        authn_parms: Some(Secret::new("user=bob,password=b")),
        pass_result: "2xx".to_owned(),
        frequency: 7,
        timeout: 3,
        enabled: false,
        options: Some(Secret::new(r#"{"tags":["a"]}"#)),
        ..TargetDefinition::new("house", "https://example.org/?q=1")
    };
    for wanted in [definition, TargetDefinition::new("home", "http://h/")] {
        // The second time there is nothing left to do.
        for _ in 0..2 {
            store.update_target(target, &wanted).await.expect("it is there");
        }
        let after = targets(store).await;
        assert_eq!((after[0].id, &after[0].definition), (target, &wanted));
        assert_eq!(format!("{:?}", after[0].state), format!("{:?}", before[0].state));
        assert_eq!((after[1].id, format!("{:?}", after[1])), (other, format!("{:?}", before[1])));
    }

    let wanted = NotifierDefinition {
        params: Secret::new("server=mail,port=25"),
        enabled: false,
        options: Some(Secret::new("{}")),
        ..NotifierDefinition::new("people", "smtp", "people@example.org")
    };
    store.update_notifier(notifier, &wanted).await.expect("it is there");
    let after = notifiers(store).await;
    assert_eq!((after[0].id, &after[0].definition), (notifier, &wanted));
    assert_eq!((after[1].id, after[1].definition.name.as_str()), (other_notifier, "other"));
}

/// A command about a row that is not there says so.
pub async fn what_is_not_there_is_not_found(Subject { store, .. }: &Subject) {
    let (target, notifier) = (TargetId(7), NotifierId(7));
    for done in [
        store.enable_target(target, true).await,
        store.update_target(target, &TargetDefinition::new("home", "http://h/")).await,
        store.update_notifier(notifier, &NotifierDefinition::new("ops", "SMTP", "x")).await,
        store.delete_target(target).await,
        store.enable_notifier(notifier, true).await,
        store.delete_notifier(notifier).await,
    ] {
        assert!(matches!(done, Err(StoreError::NotFound)), "{done:?}");
    }
}

/// Whoever changes a definition, and in whatever way, makes another revision; results make none.
pub async fn another_definition_makes_another_revision(Subject { store, operator }: &Subject) {
    let mut seen = vec![revision(store).await];
    operator.insert_target("home", "https://example.org/").await;
    seen.push(revision(store).await);
    let id = only(targets(store).await).id;
    operator.set_url(id, "https://example.org/login").await;
    seen.push(revision(store).await);
    let other = add_target(store, "other").await;
    seen.push(revision(store).await);
    store.enable_target(other, false).await.expect("it is there");
    seen.push(revision(store).await);
    store.enable_target(id, false).await.expect("it is there");
    seen.push(revision(store).await);
    let as_it_was = TargetDefinition::new("other", "https://example.org/");
    let secret = |text| Some(Secret::new(text));
    for definition in [
        TargetDefinition { tenantid: "7".to_owned(), ..as_it_was.clone() },
        TargetDefinition { method: "HEAD".to_owned(), ..as_it_was.clone() },
        TargetDefinition { authn: "BASIC".to_owned(), ..as_it_was.clone() },
        TargetDefinition { authn_parms: secret(""), ..as_it_was.clone() },
        TargetDefinition { authn_parms: secret("1"), ..as_it_was.clone() },
        TargetDefinition { pass_result: "204".to_owned(), ..as_it_was.clone() },
        TargetDefinition { frequency: 7, ..as_it_was.clone() },
        TargetDefinition { timeout: 7, ..as_it_was.clone() },
        TargetDefinition { options: secret(""), ..as_it_was.clone() },
        TargetDefinition { options: secret("1"), ..as_it_was.clone() },
        as_it_was,
    ] {
        store.update_target(other, &definition).await.expect("it is there");
        seen.push(revision(store).await);
    }
    store.delete_target(other).await.expect("it is there");
    seen.push(revision(store).await);
    operator.delete_target(id).await;
    seen.push(revision(store).await);
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");

    let id = add_target(store, "home").await;
    let before = revision(store).await;
    write(store, 1, [(id, failed("connection refused"))]).await;
    assert_eq!(revision(store).await, before);
}

async fn revision(store: &Arc<dyn Store>) -> Revision {
    store.revision().await.expect("it can be read")
}
