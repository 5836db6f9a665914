//! What is guaranteed of notifications.

use super::{
    Subject,
    given::{add_notifier, add_target, deliver, notification, notifications, notify, only},
};
use crate::{
    domain::{Delivery, DeliveryState, NotifierId, TargetId},
    port::NotificationFilter,
};

/// What was told, to whom, and what has become of it.
pub async fn a_notification_and_its_fate_are_kept(Subject { store, .. }: &Subject) {
    let (ops, home) = (add_notifier(store, "ops").await, add_target(store, "home").await);
    let told = notification(ops, home, 1);
    notify(store, 1, std::slice::from_ref(&told)).await;
    let row = only(notifications(store, NotificationFilter::newest(9)).await);
    assert_eq!((row.id, row.notifier), (told.id, ops));
    assert_eq!(format!("{:?}", row.alert), format!("{:?}", Some(&*told.alert)));
    assert_eq!(row.delivery, Delivery::pending(told.alert.at));

    let failed = Delivery {
        state: DeliveryState::Sending,
        attempts: 3,
        last_error: Some("the receiver answered 503: 東京 🗼".to_owned()),
        at: told.alert.at + std::time::Duration::from_millis(90_001),
    };
    deliver(store, 2, &told, failed.clone()).await;
    let row = only(notifications(store, NotificationFilter::newest(9)).await);
    assert_eq!(row.delivery, failed);
    let delivered = Delivery { state: DeliveryState::Delivered, attempts: 4, last_error: None, ..failed };
    deliver(store, 3, &told, delivered.clone()).await;
    let row = only(notifications(store, NotificationFilter::newest(9)).await);
    assert_eq!(row.delivery, delivered);
    assert!(row.alert.is_some());
}

/// The newest come first, and no more than asked for.
pub async fn notifications_are_told_from_the_newest(Subject { store, .. }: &Subject) {
    let told: Vec<_> = [2, 1, 3].map(|minute| notification(NotifierId(1), TargetId(1), minute)).into();
    notify(store, 1, &told).await;
    let ids = async |most| -> Vec<_> {
        notifications(store, NotificationFilter::newest(most)).await.iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(9).await, [told[2].id, told[0].id, told[1].id]);
    assert_eq!(ids(usize::MAX).await.len(), 3);
    assert_eq!(ids(1).await, [told[2].id]);
    assert!(ids(0).await.is_empty());
}

/// Every condition holds by itself, and with others.
pub async fn notifications_are_filtered(Subject { store, .. }: &Subject) {
    let (home, other) = (TargetId(1), TargetId(2));
    let told = [
        notification(NotifierId(1), home, 1),
        notification(NotifierId(1), home, 2),
        notification(NotifierId(1), other, 3),
        notification(NotifierId(1), other, 4),
    ];
    notify(store, 1, &told).await;
    for (number, (at, state)) in
        (2..).zip([(0, DeliveryState::Refused), (1, DeliveryState::Delivered), (3, DeliveryState::Expired)])
    {
        deliver(store, number, &told[at], Delivery { state, ..Delivery::pending(told[at].alert.at) }).await;
    }
    let incident = told[1].alert.incident.map(|incident| incident.id);
    let all = NotificationFilter::newest(9);
    let ids = |first: usize, last: usize| Some(told[first].id..=told[last].id);
    for (filter, expected) in [
        (NotificationFilter { ids: ids(2, 2), ..all.clone() }, vec![2]),
        (NotificationFilter { ids: ids(1, 2), ..all.clone() }, vec![2, 1]),
        (NotificationFilter { target: Some(home), ..all.clone() }, vec![1, 0]),
        (NotificationFilter { target: Some(home), incident, ..all.clone() }, vec![1]),
        (NotificationFilter { target: Some(other), incident, ..all.clone() }, vec![]),
        (NotificationFilter { failed: true, ..all.clone() }, vec![3, 0]),
        (NotificationFilter { failed: true, most: 1, ..all.clone() }, vec![3]),
        (NotificationFilter { failed: true, target: Some(home), ..all.clone() }, vec![0]),
        (NotificationFilter { ids: ids(1, 2), failed: true, ..all.clone() }, vec![]),
        (NotificationFilter { target: Some(TargetId(3)), ..all.clone() }, vec![]),
    ] {
        let found: Vec<_> = notifications(store, filter.clone()).await.iter().map(|row| row.id).collect();
        let expected: Vec<_> = expected.into_iter().map(|at: usize| told[at].id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// What is known of a delivery alone tells nothing.
pub async fn a_delivery_of_an_unknown_notification_is_no_row(Subject { store, .. }: &Subject) {
    let told = notification(NotifierId(1), TargetId(1), 1);
    deliver(store, 1, &told, Delivery::pending(told.alert.at)).await;
    assert!(notifications(store, NotificationFilter::newest(9)).await.is_empty());
}

/// It is known whom and of what, also when both are gone.
pub async fn a_notification_outlives_its_target(Subject { store, .. }: &Subject) {
    let (ops, home) = (add_notifier(store, "ops").await, add_target(store, "home").await);
    let told = notification(ops, home, 1);
    notify(store, 1, std::slice::from_ref(&told)).await;
    store.delete_target(home).await.expect("it is there");
    store.delete_notifier(ops).await.expect("it is there");
    deliver(store, 2, &told, Delivery { attempts: 1, ..Delivery::pending(told.alert.at) }).await;
    let row = only(notifications(store, NotificationFilter::newest(9)).await);
    assert_eq!(row.delivery.attempts, 1);
    assert_eq!(row.alert.expect("it can be read").target, told.alert.target);
}
