//! Lowered conditions as short text.

use aurora_core::policy::Names;

/// `t` is the row, `v_` stands before tables, `o_` before what their owner reads.
pub(crate) struct Plain;

impl Names for Plain {
    fn row(&self, column: &str) -> String {
        format!("t.{column}")
    }
    fn table(&self, table: &str) -> String {
        format!("v_{table}")
    }
    fn owner_table(&self, table: &str) -> String {
        format!("o_{table}")
    }
    fn function(&self, name: &str) -> String {
        name.to_owned()
    }
}
