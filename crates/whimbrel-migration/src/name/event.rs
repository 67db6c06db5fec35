//! The events that a callback script can be named after.

macro_rules! events {
    ($($variant:ident = $name:literal,)*) => {
        /// Something that happens during a command, under Flyway's name for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "the names are Flyway's and say what they mean")]
        pub enum Event { $($variant,)* }

        impl Event {
            /// Every event that a callback script can be named after.
            pub const ALL: &[Event] = &[$(Event::$variant,)*];

            /// The name as it stands in front of a file name.
            pub fn as_str(self) -> &'static str {
                match self { $(Event::$variant => $name,)* }
            }
        }
    };
}

events! {
    BeforeMigrate = "beforeMigrate",
    BeforeRepeatables = "beforeRepeatables",
    BeforeEachMigrate = "beforeEachMigrate",
    BeforeEachMigrateStatement = "beforeEachMigrateStatement",
    AfterEachMigrateStatement = "afterEachMigrateStatement",
    AfterEachMigrateStatementError = "afterEachMigrateStatementError",
    AfterEachMigrate = "afterEachMigrate",
    AfterEachMigrateError = "afterEachMigrateError",
    AfterVersioned = "afterVersioned",
    AfterMigrateApplied = "afterMigrateApplied",
    AfterMigrate = "afterMigrate",
    AfterMigrateError = "afterMigrateError",
    AfterMigrateOperationFinish = "afterMigrateOperationFinish",
    BeforeClean = "beforeClean",
    AfterClean = "afterClean",
    AfterCleanError = "afterCleanError",
    BeforeInfo = "beforeInfo",
    AfterInfo = "afterInfo",
    AfterInfoError = "afterInfoError",
    AfterInfoOperationFinish = "afterInfoOperationFinish",
    BeforeValidate = "beforeValidate",
    AfterValidate = "afterValidate",
    AfterValidateError = "afterValidateError",
    BeforeBaseline = "beforeBaseline",
    AfterBaseline = "afterBaseline",
    AfterBaselineError = "afterBaselineError",
    BeforeRepair = "beforeRepair",
    AfterRepair = "afterRepair",
    AfterRepairError = "afterRepairError",
    BeforeUndo = "beforeUndo",
    BeforeEachUndo = "beforeEachUndo",
    BeforeEachUndoStatement = "beforeEachUndoStatement",
    AfterEachUndoStatement = "afterEachUndoStatement",
    AfterEachUndoStatementError = "afterEachUndoStatementError",
    AfterEachUndo = "afterEachUndo",
    AfterEachUndoError = "afterEachUndoError",
    AfterUndo = "afterUndo",
    AfterUndoError = "afterUndoError",
    CreateSchema = "createSchema",
    BeforeCreateSchema = "beforeCreateSchema",
    BeforeConnect = "beforeConnect",
    AfterConnect = "afterConnect",
}
