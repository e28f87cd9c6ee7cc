//! A decision allocates nothing: counted by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes on to the system's allocator; the counter is a plain cell of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(bound: &Bound, row: &[ValueRef<'_>]) -> usize {
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        let decision = bound.decide(row, NOW);
        assert!(!matches!(decision, Decision::Error(_)));
    }
    ALLOCATIONS.get() - before
}

#[test]
fn decisions_allocate_nothing() {
    let policies = format!(
        "CREATE POLICY own ON notes USING (owner = auth.uid());
         CREATE POLICY admin ON notes USING (auth.jwt() ->> 'role' = 'admin');
         CREATE POLICY team ON notes USING ({MEMBER});
         CREATE POLICY list ON notes USING (title IN ('a', 'b') AND NOT public AND price > 1.5);
         CREATE POLICY null ON notes USING (uid IS NOT NULL AND uid = auth.uid() AND expires_at < now());
         CREATE POLICY value ON notes USING ((SELECT t.kind FROM teams t WHERE t.id = notes.team) = 'x');
         CREATE POLICY ties ON notes USING (NOT EXISTS (SELECT 1 FROM members m WHERE m.team = notes.team AND m.role = notes.title));
         CREATE POLICY r ON notes AS RESTRICTIVE USING (id <> 5);"
    );
    let compiled = compile(&policies, Command::Select, Clause::Using).unwrap();
    let mut facts = ann();
    for fact in compiled.needs() {
        let row = |i: i64| (0..fact.width()).map(move |_| i);
        facts.insert(fact, (100..150).map(row));
    }
    let bound = compiled.bind(&facts).unwrap();
    let uuid = BOB.to_string();
    let mut cases = 0;
    for owner in [text(&uuid), ValueRef::Uuid(BOB.as_bytes()), NULL] {
        for team in [int(7), int(108), NULL] {
            for title in [text("a"), text("z"), NULL] {
                for expires in [ValueRef::Time(NOW), int(3), NULL] {
                    let row = row(&[
                        ("id", int(1)),
                        ("owner", owner),
                        ("team", team),
                        ("title", title),
                        ("public", FALSE),
                        ("price", ValueRef::Real(1.0)),
                        ("uid", ValueRef::Uuid(ANN.as_bytes())),
                        ("expires_at", expires),
                    ]);
                    assert_eq!(allocations(&bound, &row), 0, "{row:?}");
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} rows, 100 decisions each, no allocation");
    // The counter counts: a function that makes text allocates.
    let bound = condition("lower(title) = 'a'").bind(&ann()).unwrap();
    assert!(allocations(&bound, &row(&[("title", text("A"))])) > 0);
}
