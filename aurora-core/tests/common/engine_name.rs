/// Whether the suites run on PostgreSQL.
pub fn on_postgres() -> bool {
    #[expect(clippy::disallowed_methods, reason = "`scripts/test` names the engine so")]
    let asked = std::env::var("AURORA_TEST_ENGINE");
    match asked.as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("AURORA_TEST_ENGINE is sqlite or postgres, not `{other}`"),
    }
}
