//! The methods that take and give definitions as a whole: what a file of them would change, and the change.
//!
//! A row is known by its name. Whoever applies a file calls `plan` for all of its rows first, and `apply` only if
//! none of them has a fault; both take rows in portions, since a line has a limit. Columns that are unsaid get
//! their defaults; those of the daemon stay as they are.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skypunch_actors::{
    domain::{
        Fault, NotifierDefinition, NotifierId, NotifierRow, TargetDefinition, TargetId, TargetRow, text,
    },
    persister::{AddNotifier, AddTarget, Change, UpdateNotifier, UpdateTarget},
    port::{StoreError, plan_probe, plan_sink},
};

use super::{
    Actors, Api,
    api::{ask, refused},
    columns::{self, ColumnFault},
    export,
    protocol::RpcError,
};

/// The parameters of `plan` and `apply`: rows by their columns.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    targets: Vec<Map<String, Value>>,
    notifiers: Vec<Map<String, Value>>,
}

/// The parameters of `prune`: the ids of rows that no file names.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Unnamed {
    targets: Vec<u64>,
    notifiers: Vec<u64>,
}

/// What is to be done with one row of a file.
enum Step<D> {
    Keep(u64),
    Change(u64, D, Vec<&'static str>),
    Add(D),
    Refuse(Vec<ColumnFault>),
}

/// A row that has a definition.
#[async_trait]
pub(super) trait Row {
    /// What operators own of it.
    type Definition: Send;
    /// What it is called in reasons.
    const WHAT: &'static str;

    fn id(&self) -> u64;
    fn definition(&self) -> &Self::Definition;
    fn name(definition: &Self::Definition) -> &str;
    fn read(given: &Map<String, Value>) -> (Self::Definition, Vec<ColumnFault>);
    fn unmask(definition: &mut Self::Definition, known: Option<&Self::Definition>) -> Vec<ColumnFault>;
    fn judge(definition: &Self::Definition, actors: &Actors) -> Vec<Fault>;
    fn changed(before: &Self::Definition, after: &Self::Definition) -> Vec<&'static str>;
    async fn add(definition: Self::Definition, actors: &Actors) -> Result<u64, RpcError>;
    async fn update(id: u64, definition: Self::Definition, actors: &Actors) -> Result<(), RpcError>;
}

#[async_trait]
impl Row for TargetRow {
    type Definition = TargetDefinition;
    const WHAT: &'static str = "target";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn definition(&self) -> &TargetDefinition {
        &self.definition
    }

    fn name(definition: &TargetDefinition) -> &str {
        &definition.name
    }

    fn read(given: &Map<String, Value>) -> (TargetDefinition, Vec<ColumnFault>) {
        columns::target(given)
    }

    fn unmask(definition: &mut TargetDefinition, known: Option<&TargetDefinition>) -> Vec<ColumnFault> {
        export::unmask_target(definition, known)
    }

    fn judge(definition: &TargetDefinition, actors: &Actors) -> Vec<Fault> {
        plan_probe(actors.probers.as_ref(), TargetId(0), definition).1.err().unwrap_or_default()
    }

    fn changed(before: &TargetDefinition, after: &TargetDefinition) -> Vec<&'static str> {
        let columns = [
            ("url", before.url == after.url),
            ("tenantid", before.tenantid == after.tenantid),
            ("method", before.method == after.method),
            ("authn", before.authn == after.authn),
            ("authn_parms", before.authn_parms == after.authn_parms),
            ("pass_result", before.pass_result == after.pass_result),
            ("frequency", before.frequency == after.frequency),
            ("timeout", before.timeout == after.timeout),
            ("enabled", before.enabled == after.enabled),
            ("options", before.options == after.options),
        ];
        columns.iter().filter(|(_, is_same)| !is_same).map(|(column, _)| *column).collect()
    }

    async fn add(definition: TargetDefinition, actors: &Actors) -> Result<u64, RpcError> {
        let name = definition.name.clone();
        let added = ask(&actors.add_target, AddTarget(definition)).await?;
        Ok(added.map_err(|error| not_added(error, &name))?.0)
    }

    async fn update(id: u64, definition: TargetDefinition, actors: &Actors) -> Result<(), RpcError> {
        let name = definition.name.clone();
        let updated = ask(&actors.update_target, UpdateTarget(TargetId(id), definition)).await?;
        updated.map_err(|error| not_updated(error, &name))
    }
}

#[async_trait]
impl Row for NotifierRow {
    type Definition = NotifierDefinition;
    const WHAT: &'static str = "notifier";

    fn id(&self) -> u64 {
        self.id.0
    }

    fn definition(&self) -> &NotifierDefinition {
        &self.definition
    }

    fn name(definition: &NotifierDefinition) -> &str {
        &definition.name
    }

    fn read(given: &Map<String, Value>) -> (NotifierDefinition, Vec<ColumnFault>) {
        columns::notifier(given)
    }

    fn unmask(definition: &mut NotifierDefinition, known: Option<&NotifierDefinition>) -> Vec<ColumnFault> {
        export::unmask_notifier(definition, known)
    }

    fn judge(definition: &NotifierDefinition, actors: &Actors) -> Vec<Fault> {
        let definition = definition.clone();
        let row = NotifierRow { id: NotifierId(0), definition, pass_count: 0, fail_count: 0 };
        plan_sink(actors.sinks.as_ref(), &row).err().unwrap_or_default()
    }

    fn changed(before: &NotifierDefinition, after: &NotifierDefinition) -> Vec<&'static str> {
        let columns = [
            ("type", before.kind == after.kind),
            ("address", before.address == after.address),
            ("params", before.params == after.params),
            ("enabled", before.enabled == after.enabled),
            ("options", before.options == after.options),
        ];
        columns.iter().filter(|(_, is_same)| !is_same).map(|(column, _)| *column).collect()
    }

    async fn add(definition: NotifierDefinition, actors: &Actors) -> Result<u64, RpcError> {
        let name = definition.name.clone();
        let added = ask(&actors.add_notifier, AddNotifier(definition)).await?;
        Ok(added.map_err(|error| not_added(error, &name))?.0)
    }

    async fn update(id: u64, definition: NotifierDefinition, actors: &Actors) -> Result<(), RpcError> {
        let name = definition.name.clone();
        let updated = ask(&actors.update_notifier, UpdateNotifier(NotifierId(id), definition)).await?;
        updated.map_err(|error| not_updated(error, &name))
    }
}

impl<D> Step<D> {
    /// What is done with a row, given all that there are.
    fn plan<R: Row<Definition = D>>(
        given: &Map<String, Value>,
        known: &HashMap<&str, Vec<&R>>,
        actors: &Actors,
    ) -> Self {
        let (mut definition, mut faults) = R::read(given);
        let row = match known.get(R::name(&definition)).map_or(&[][..], Vec::as_slice) {
            [] => None,
            [row] => Some(*row),
            rows => {
                faults.push(namesakes(R::WHAT, rows));
                return Self::Refuse(faults);
            }
        };
        faults.extend(R::unmask(&mut definition, row.map(|row| row.definition())));
        ColumnFault::extend(&mut faults, R::judge(&definition, actors));
        match row.map(|row| (row.id(), R::changed(row.definition(), &definition))) {
            _ if !faults.is_empty() => Self::Refuse(faults),
            None => Self::Add(definition),
            Some((id, columns)) if columns.is_empty() => Self::Keep(id),
            Some((id, columns)) => Self::Change(id, definition, columns),
        }
    }

    fn view(&self) -> Value {
        match self {
            Self::Keep(id) => json!({ "action": "keep", "id": id }),
            Self::Change(id, _, columns) => json!({ "action": "change", "id": id, "columns": columns }),
            Self::Add(_) => json!({ "action": "add" }),
            Self::Refuse(faults) => {
                let faults: Vec<_> = faults.iter().map(ColumnFault::view).collect();
                json!({ "action": "refuse", "faults": faults })
            }
        }
    }
}

fn namesakes<R: Row>(what: &str, rows: &[&R]) -> ColumnFault {
    let ids: Vec<_> = rows.iter().map(|row| row.id().to_string()).collect();
    let (count, ids) = (ids.len(), ids.join(", "));
    ColumnFault::new("name", format!("{count} {what}s are called so ({ids}): rename all but one"))
}

/// What is done with each row of a portion.
fn steps<R: Row>(given: &[Map<String, Value>], rows: &[R], actors: &Actors) -> Vec<Step<R::Definition>> {
    let mut known: HashMap<&str, Vec<&R>> = HashMap::new();
    for row in rows {
        known.entry(R::name(row.definition())).or_default().push(row);
    }
    given.iter().map(|given| Step::plan(given, &known, actors)).collect()
}

/// All faults of a portion.
fn refusals<D>(steps: &[Step<D>]) -> impl Iterator<Item = &ColumnFault> {
    steps.iter().flat_map(|step| match step {
        Step::Refuse(faults) => &faults[..],
        _ => &[],
    })
}

/// Does what is to be done, and says what that was.
async fn take<R: Row>(steps: Vec<Step<R::Definition>>, actors: &Actors) -> Result<Vec<Value>, RpcError> {
    let mut done = Vec::with_capacity(steps.len());
    for step in steps {
        let mut shown = step.view();
        match step {
            Step::Add(definition) => shown["id"] = R::add(definition, actors).await?.into(),
            Step::Change(id, definition, _) => R::update(id, definition, actors).await?,
            Step::Keep(_) | Step::Refuse(_) => {}
        }
        done.push(shown);
    }
    Ok(done)
}

impl Api {
    /// Every definition.
    pub(super) async fn export(&self) -> Result<Value, RpcError> {
        let rows = self.rows().await?;
        let targets: Vec<_> = rows.targets.iter().map(|row| export::target(&row.definition)).collect();
        let notifier =
            |row: &NotifierRow| export::notifier(&row.definition, &(self.0.public)(&row.definition.kind));
        let notifiers: Vec<_> = rows.notifiers.iter().map(notifier).collect();
        Ok(json!({ "targets": targets, "notifiers": notifiers }))
    }

    /// What `apply` would do with each row.
    pub(super) async fn plan(&self, given: &Given) -> Result<Value, RpcError> {
        let rows = self.rows().await?;
        let targets = steps(&given.targets, &rows.targets, &self.0);
        let notifiers = steps(&given.notifiers, &rows.notifiers, &self.0);
        let targets: Vec<_> = targets.iter().map(Step::view).collect();
        let notifiers: Vec<_> = notifiers.iter().map(Step::view).collect();
        Ok(json!({ "targets": targets, "notifiers": notifiers }))
    }

    /// Makes the rows what they are given as. Nothing is changed where one of them has a fault.
    pub(super) async fn apply(&self, given: &Given) -> Result<Value, RpcError> {
        let rows = self.rows().await?;
        let targets = steps(&given.targets, &rows.targets, &self.0);
        let notifiers = steps(&given.notifiers, &rows.notifiers, &self.0);
        let faults: Vec<_> = refusals(&targets).chain(refusals(&notifiers)).cloned().collect();
        sound(&faults)?;
        let done = async {
            // Targets name notifiers.
            let notifiers = take::<NotifierRow>(notifiers, &self.0).await?;
            let targets = take::<TargetRow>(targets, &self.0).await?;
            Ok(json!({ "targets": targets, "notifiers": notifiers }))
        };
        let done = done.await;
        self.hurry().await;
        done
    }

    /// Adds a row, if it has no fault; tells its id.
    pub(super) async fn add<R: Row>(&self, given: &Map<String, Value>) -> Result<u64, RpcError> {
        let (definition, mut faults) = R::read(given);
        ColumnFault::extend(&mut faults, R::judge(&definition, &self.0));
        sound(&faults)?;
        let added = R::add(definition, &self.0).await;
        self.hurry().await;
        added
    }

    /// Deletes rows; those that are gone already are no matter.
    pub(super) async fn prune(&self, unnamed: &Unnamed) -> Result<Value, RpcError> {
        let targets = unnamed.targets.iter().map(|id| Change::DeleteTarget(TargetId(*id)));
        let notifiers = unnamed.notifiers.iter().map(|id| Change::DeleteNotifier(NotifierId(*id)));
        for change in targets.chain(notifiers) {
            match ask(&self.0.change, change).await? {
                Ok(()) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        self.hurry().await;
        Ok(json!({ "targets": unnamed.targets, "notifiers": unnamed.notifiers }))
    }
}

/// A row without faults may be taken.
fn sound(faults: &[ColumnFault]) -> Result<(), RpcError> {
    if faults.is_empty() { Ok(()) } else { Err(RpcError::invalid_params(ColumnFault::join(faults))) }
}

fn not_added(error: StoreError, name: &str) -> RpcError {
    match error {
        StoreError::Conflict => RpcError::failed(format!("the name `{}` is taken", text::cut(name, 100))),
        error => refused(error),
    }
}

fn not_updated(error: StoreError, name: &str) -> RpcError {
    match error {
        StoreError::NotFound => RpcError::failed(format!("`{}` is gone by now", text::cut(name, 100))),
        error => refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{CallError, Client, fake::Fake},
        *,
    };

    async fn call(client: &mut Client, method: &str, with: Value) -> Value {
        client.call(method, with.as_object().unwrap(), &mut |_| {}).await.unwrap()
    }

    async fn refused(client: &mut Client, method: &str, with: Value) -> (i32, String) {
        match client.call(method, with.as_object().unwrap(), &mut |_| {}).await {
            Err(CallError::Refused(error)) => (error.code, error.message),
            other => panic!("{method} was not refused: {other:?}"),
        }
    }

    #[actix::test]
    async fn definitions_are_taken_as_a_whole_or_not_at_all() {
        let mut client = Client::in_process(Fake::populated().daemon().0);
        let new = json!({"name": "new", "url": "http://h/", "authn_parms": "user=a"});
        let home = json!({"name": "home", "url": "http://h/"});
        let bad = json!({"name": "shop", "url": "ftp://h/"});
        let plan = call(&mut client, "definitions.plan", json!({"targets": [new, home, bad]})).await;
        assert_eq!(
            plan["targets"],
            json!([
                {"action": "add"},
                {"action": "change", "id": 1, "columns": ["url", "authn_parms"]},
                {
                    "action": "refuse",
                    "faults": [{"column": "url", "problem": "must begin with http:// or https://"}],
                },
            ])
        );
        let (number, message) =
            refused(&mut client, "definitions.apply", json!({"targets": [new, bad]})).await;
        assert_eq!((number, &*message), (-32_602, "url: must begin with http:// or https://"));
        assert_eq!(call(&mut client, "targets.list", json!({})).await.as_array().unwrap().len(), 4);

        let done = call(&mut client, "definitions.apply", json!({"targets": [new, home]})).await;
        assert_eq!(done["targets"][0], json!({"action": "add", "id": 100}));
        assert_eq!(call(&mut client, "targets.get", json!({"target": "home"})).await["url"], "http://h/");
        call(&mut client, "definitions.prune", json!({"targets": [100, 7], "notifiers": [1]})).await;
        let left = call(&mut client, "definitions.export", json!({})).await;
        assert_eq!(left["notifiers"], json!([]));
        assert_eq!(left["targets"].as_array().unwrap().len(), 3);
        assert!(!left.to_string().contains("hunter2"), "{left}");
    }
}
