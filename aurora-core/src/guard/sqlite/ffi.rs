//! The one file that speaks to SQLite's C interface: authorizer, functions, limits, progress.
//!
//! Everything `unsafe` in Aurora stands here. The invariants:
//! 1. A callback's user data is an `Arc<Context>`; a strong count is given to every registered function and taken
//!    back by its destructor when the connection closes, so the pointer outlives every callback.
//! 2. No callback unwinds into C: each body runs under `catch_unwind` and a panic denies or fails the statement.
//! 3. No callback uses the connection it is called from.
#![allow(unsafe_code, reason = "the FFI to SQLite; see the invariants above")]

use std::ffi::{CStr, CString, c_char, c_int, c_uchar, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use libsqlite3_sys as sys;

use crate::policy::functions::{self, Body, Function, Value};
use crate::types::{Error, Result};

use super::authorizer::{self, Request, Verdict};
use super::context::Context;
use super::probe::Probe;

/// How many steps of its machine SQLite makes before it asks whether to go on.
const STEPS: c_int = 250;

/// What all of SQLite's allocations in this process may come to before a guarded statement is ended, in bytes: a
/// statement may sort or collect without end, and the process must live.
const MOST_MEMORY: i64 = 512 * 1024 * 1024;

/// Installs walls and functions on an open connection whose worker is idle.
pub(super) fn install(
    handle: NonNull<sys::sqlite3>,
    context: &Arc<Context>,
    known: &[Function],
) -> Result<()> {
    let db = handle.as_ptr();
    set_limits(db)?;
    for function in known.iter().chain(&context.facts.functions) {
        let name = context.names.function(&function.name);
        let arity = function.arity.map_or(-1, i32::from);
        let deterministic = if function.deterministic { sys::SQLITE_DETERMINISTIC } else { 0 };
        let data = Box::new(HostFunction { context: Arc::clone(context), body: function.body.clone() });
        let call: HostCall = match &*function.name {
            functions::TIME => time_call,
            functions::ANY => any_call,
            _ => host_call,
        };
        register_boxed(db, &name, arity, deterministic | sys::SQLITE_INNOCUOUS, data, call)?;
    }
    for role in crate::types::Role::ALL {
        let name = context.names.function(&format!("as_{}", role.as_str()));
        let test = RoleTest { context: Arc::clone(context), role };
        register_boxed(db, &name, 0, sys::SQLITE_INNOCUOUS, Box::new(test), role_call)?;
    }
    let name = context.names.function("reads");
    register_boxed(db, &name, 1, sys::SQLITE_INNOCUOUS, Box::new(Arc::clone(context)), reads_call)?;
    let name = context.names.function("direct");
    register_boxed(db, &name, 1, sys::SQLITE_INNOCUOUS, Box::new(Arc::clone(context)), direct_call)?;
    let name = context.names.function("deny");
    register_boxed(db, &name, 1, sys::SQLITE_INNOCUOUS, Box::new(Arc::clone(context)), deny_call)?;
    if let Some(probe) = &context.facts.probe {
        for (name, flags) in Probe::NAMES.into_iter().zip([sys::SQLITE_DETERMINISTIC, 0]) {
            register_boxed(db, name, 1, flags | sys::SQLITE_INNOCUOUS, Box::new(probe.clone()), probe_call)?;
        }
    }

    let data = Arc::as_ptr(context).cast_mut().cast::<c_void>();
    // SAFETY: `db` is open and idle (its worker is locked by the caller); `data` outlives the connection by
    // invariant 1.
    unsafe {
        check(db, sys::sqlite3_set_authorizer(db, Some(authorize), data))?;
        sys::sqlite3_progress_handler(db, STEPS, Some(progress), data);
    }
    Ok(())
}

/// Whether the connection is outside a transaction.
pub(super) fn autocommit(handle: NonNull<sys::sqlite3>) -> bool {
    // SAFETY: the handle is open and its worker is locked by the caller.
    unsafe { sys::sqlite3_get_autocommit(handle.as_ptr()) != 0 }
}

/// The version of the engine that is linked, as `X*1000000 + Y*1000 + Z`.
pub(crate) fn engine_version() -> i32 {
    // SAFETY: a pure function of the library.
    unsafe { sys::sqlite3_libversion_number() }
}

fn check(db: *mut sys::sqlite3, code: c_int) -> Result<()> {
    if code == sys::SQLITE_OK {
        return Ok(());
    }
    // SAFETY: `db` is open; the message is copied before anything else touches the connection.
    let message = unsafe { CStr::from_ptr(sys::sqlite3_errmsg(db)) }.to_string_lossy().into_owned();
    Err(Error::internal(format!("sqlite set-up failed with code {code}: {message}")))
}

fn set_limits(db: *mut sys::sqlite3) -> Result<()> {
    // SAFETY: `db` is open and idle. The limits bound what one statement of a stranger can take (attack L06).
    unsafe {
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_LENGTH, 32 * 1024 * 1024);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_SQL_LENGTH, 1024 * 1024);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_EXPR_DEPTH, 400);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_COMPOUND_SELECT, 100);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_TRIGGER_DEPTH, 32);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_ATTACHED, 1);
        sys::sqlite3_limit(db, sys::SQLITE_LIMIT_WORKER_THREADS, 0);
    }
    let configure = |op: c_int, on: c_int| {
        // SAFETY: each of these verbs takes an int and a pointer to int that may be null.
        let code = unsafe { sys::sqlite3_db_config(db, op, on, ptr::null_mut::<c_int>()) };
        check(db, code)
    };
    configure(sys::SQLITE_DBCONFIG_DEFENSIVE, 1)?;
    configure(sys::SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)?;
    configure(sys::SQLITE_DBCONFIG_ENABLE_FKEY, 1)?;
    // Triggers and views of the host's own schema are off: they name tables without the guard. Those that
    // the guard carries are created again as TEMP objects, which these two switches leave on.
    configure(sys::SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)?;
    configure(sys::SQLITE_DBCONFIG_ENABLE_VIEW, 0)?;
    configure(sys::SQLITE_DBCONFIG_DQS_DML, 0)?;
    configure(sys::SQLITE_DBCONFIG_DQS_DDL, 0)?;
    configure(sys::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)?;
    configure(sys::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0)?;
    Ok(())
}

type HostCall = unsafe extern "C" fn(*mut sys::sqlite3_context, c_int, *mut *mut sys::sqlite3_value);

struct HostFunction {
    context: Arc<Context>,
    body: Body,
}

struct RoleTest {
    context: Arc<Context>,
    role: crate::types::Role,
}

fn register_boxed<T>(
    db: *mut sys::sqlite3,
    name: &str,
    arity: i32,
    flags: c_int,
    data: Box<T>,
    call: HostCall,
) -> Result<()> {
    let name = CString::new(name).map_err(Error::internal)?;
    // SAFETY: `data` is handed to SQLite, which calls `drop_boxed::<T>` exactly once, also when this call fails.
    let code = unsafe {
        sys::sqlite3_create_function_v2(
            db,
            name.as_ptr(),
            arity,
            sys::SQLITE_UTF8 | flags,
            Box::into_raw(data).cast::<c_void>(),
            Some(call),
            None,
            None,
            Some(drop_boxed::<T>),
        )
    };
    check(db, code)
}

unsafe extern "C" fn drop_boxed<T>(data: *mut c_void) {
    // SAFETY: `data` is the pointer that `register_boxed` made from a `Box<T>`, given back once.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

unsafe extern "C" fn host_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    // SAFETY: SQLite passes the user data of this registration, a live `HostFunction`.
    let host = unsafe { &*sys::sqlite3_user_data(ctx).cast::<HostFunction>() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `argv` holds `argc` values for the length of this call.
        let arguments: Vec<Value> = unsafe { arguments(argc, argv) };
        match &host.body {
            Body::Pure(compute) => compute(&arguments),
            Body::Host(compute) => compute(&arguments),
            Body::Clock(compute) => Ok(compute(host.context.state().now)),
            Body::Identity(compute) => match host.context.state().claims.clone() {
                Some(claims) => compute(&claims, &arguments),
                None => Err("42501 no principal".to_owned()),
            },
        }
    }));
    // SAFETY: `ctx` is live for the length of this call.
    unsafe {
        match outcome {
            Ok(Ok(value)) => answer(ctx, value),
            Ok(Err(message)) => fail(ctx, &message),
            Err(_panic) => fail(ctx, "function failed"),
        }
    }
}

/// [`host_call`] of the function that policies with a list of readers call once a row.
unsafe extern "C" fn any_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    let plain = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the function is registered with an arity of four, and the values are live for the length of this
        // call, in which nothing converts them.
        unsafe {
            let [value, op, array, word] = [0, 1, 2, 3].map(|at| text_of(*argv.add(at)));
            functions::plain_any(value?, op?, array?, word?)
        }
    }));
    // SAFETY: `ctx` and the arguments are live for the length of this call.
    unsafe {
        match plain {
            Ok(Some(found)) => sys::sqlite3_result_int(ctx, c_int::from(found)),
            _ => host_call(ctx, argc, argv),
        }
    }
}

/// The text of a value that is one, where it lies.
unsafe fn text_of<'a>(value: *mut sys::sqlite3_value) -> Option<&'a [u8]> {
    // SAFETY: the caller's value is live; a text in the database's encoding is not moved by being asked for.
    unsafe {
        if sys::sqlite3_value_type(value) != sys::SQLITE_TEXT {
            return None;
        }
        let text = sys::sqlite3_value_text(value);
        Some(bytes(text, sys::sqlite3_value_bytes(value)))
    }
}

/// [`host_call`] of the function that policies about time call once or twice a row: a text of the usual spelling is
/// not copied first.
unsafe extern "C" fn time_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    let plain = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the function is registered with an arity of one, and the value is live for the length of this call.
        unsafe { functions::plain_time(text_of(*argv)?) }
    }));
    // SAFETY: `ctx` and the arguments are live for the length of this call.
    unsafe {
        match plain {
            Ok(Some(micros)) => sys::sqlite3_result_int64(ctx, micros),
            _ => host_call(ctx, argc, argv),
        }
    }
}

unsafe extern "C" fn role_call(ctx: *mut sys::sqlite3_context, _: c_int, _: *mut *mut sys::sqlite3_value) {
    // SAFETY: SQLite passes the user data of this registration, a live `RoleTest`.
    let test = unsafe { &*sys::sqlite3_user_data(ctx).cast::<RoleTest>() };
    let same = test.context.state().role == Some(test.role);
    // SAFETY: `ctx` is live for the length of this call.
    unsafe { sys::sqlite3_result_int(ctx, c_int::from(same)) };
}

unsafe extern "C" fn reads_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    // SAFETY: SQLite passes the user data of this registration, a live `Arc<Context>`, and `argc` values.
    let (context, arguments) =
        unsafe { (&*sys::sqlite3_user_data(ctx).cast::<Arc<Context>>(), arguments(argc, argv)) };
    let reads = match arguments.first() {
        Some(Value::Text(table)) => {
            let state = context.state();
            state.ticket.reads_target && state.ticket.target.as_deref() == Some(table.as_str())
        }
        _ => true,
    };
    // SAFETY: `ctx` is live for the length of this call.
    unsafe { sys::sqlite3_result_int(ctx, c_int::from(reads)) };
}

/// Whether the statement itself writes to the table, so that no foreign key action can be what changes its rows.
unsafe extern "C" fn direct_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    // SAFETY: SQLite passes the user data of this registration, a live `Arc<Context>`, and `argc` values.
    let (context, arguments) =
        unsafe { (&*sys::sqlite3_user_data(ctx).cast::<Arc<Context>>(), arguments(argc, argv)) };
    let direct = match arguments.first() {
        Some(Value::Text(table)) => {
            let lower = table.to_ascii_lowercase();
            context.state().ticket.target.as_deref() == Some(table.as_str())
                && !context.facts.cascades.contains(&(lower.clone(), lower))
        }
        _ => true,
    };
    // SAFETY: `ctx` is live for the length of this call.
    unsafe { sys::sqlite3_result_int(ctx, c_int::from(direct)) };
}

unsafe extern "C" fn deny_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    // SAFETY: `argv` holds `argc` values and `ctx` is live for the length of this call.
    unsafe {
        match arguments(argc, argv).first() {
            Some(Value::Text(message)) => fail(ctx, message),
            _ => fail(ctx, "42501"),
        }
    }
}

unsafe extern "C" fn probe_call(
    ctx: *mut sys::sqlite3_context,
    argc: c_int,
    argv: *mut *mut sys::sqlite3_value,
) {
    // SAFETY: SQLite passes the user data of this registration, a live `Probe`, and the one value that the arity
    // asks for; `ctx` is live for the length of this call.
    unsafe {
        let probe = &*sys::sqlite3_user_data(ctx).cast::<Probe>();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            arguments(argc, argv).into_iter().for_each(|value| probe.note(value))
        }));
        sys::sqlite3_result_value(ctx, *argv);
    }
}

unsafe fn arguments(argc: c_int, argv: *mut *mut sys::sqlite3_value) -> Vec<Value> {
    let count = usize::try_from(argc).unwrap_or(0);
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller passes SQLite's own array of `argc` live values.
    let values = unsafe { std::slice::from_raw_parts(argv, count) };
    // SAFETY: each pointer is a live value.
    values.iter().map(|value| unsafe { value_of(*value) }).collect()
}

unsafe fn value_of(value: *mut sys::sqlite3_value) -> Value {
    // SAFETY: `value` is live; text and blob pointers are read at once, with the length SQLite reports after the
    // conversion.
    unsafe {
        match sys::sqlite3_value_type(value) {
            sys::SQLITE_INTEGER => Value::Integer(sys::sqlite3_value_int64(value)),
            sys::SQLITE_FLOAT => Value::Real(sys::sqlite3_value_double(value)),
            sys::SQLITE_TEXT => {
                let text = sys::sqlite3_value_text(value);
                Value::Text(
                    String::from_utf8_lossy(bytes(text, sys::sqlite3_value_bytes(value))).into_owned(),
                )
            }
            sys::SQLITE_BLOB => {
                let blob = sys::sqlite3_value_blob(value).cast::<c_uchar>();
                Value::Blob(bytes(blob, sys::sqlite3_value_bytes(value)).to_vec())
            }
            _ => Value::Null,
        }
    }
}

unsafe fn bytes<'a>(data: *const c_uchar, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        Ok(length) if length > 0 && !data.is_null() => {
            // SAFETY: SQLite reports `length` readable bytes at `data`.
            unsafe { std::slice::from_raw_parts(data, length) }
        }
        _ => &[],
    }
}

unsafe fn answer(ctx: *mut sys::sqlite3_context, value: Value) {
    // SAFETY: `ctx` is live; SQLITE_TRANSIENT makes SQLite copy what the pointers show.
    unsafe {
        match value {
            Value::Null => sys::sqlite3_result_null(ctx),
            Value::Integer(number) => sys::sqlite3_result_int64(ctx, number),
            Value::Real(number) => sys::sqlite3_result_double(ctx, number),
            Value::Text(text) => match c_int::try_from(text.len()) {
                Ok(length) => {
                    sys::sqlite3_result_text(ctx, text.as_ptr().cast(), length, sys::SQLITE_TRANSIENT())
                }
                Err(_) => sys::sqlite3_result_error_toobig(ctx),
            },
            Value::Blob(blob) => match c_int::try_from(blob.len()) {
                Ok(length) => {
                    sys::sqlite3_result_blob(ctx, blob.as_ptr().cast(), length, sys::SQLITE_TRANSIENT())
                }
                Err(_) => sys::sqlite3_result_error_toobig(ctx),
            },
        }
    }
}

unsafe fn fail(ctx: *mut sys::sqlite3_context, message: &str) {
    let length = c_int::try_from(message.len()).unwrap_or(0);
    // SAFETY: `ctx` is live; SQLite copies the message.
    unsafe { sys::sqlite3_result_error(ctx, message.as_ptr().cast(), length) };
}

unsafe extern "C" fn progress(data: *mut c_void) -> c_int {
    // SAFETY: `data` is the live context, by invariant 1.
    let context = unsafe { &*data.cast::<Context>() };
    // SAFETY: reads a counter.
    let full = unsafe { sys::sqlite3_memory_used() } > MOST_MEMORY;
    // A BEGIN or ROLLBACK of ours takes none of it.
    let ended = || context.expired() || (full && context.runs_host_text());
    c_int::from(catch_unwind(AssertUnwindSafe(ended)).unwrap_or(true))
}

unsafe extern "C" fn authorize(
    data: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    schema: *const c_char,
    accessor: *const c_char,
) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `data` is the live context, by invariant 1; each text is null or a C string that lives for the
        // length of this call.
        let (context, request) = unsafe {
            let request = Request {
                action,
                first: text(first),
                second: text(second),
                schema: text(schema),
                accessor: text(accessor),
            };
            (&*data.cast::<Context>(), request)
        };
        authorizer::decide(context, &request)
    }));
    match outcome {
        Ok(Verdict::Allow) => sys::SQLITE_OK,
        Ok(Verdict::Deny) | Err(_) => sys::SQLITE_DENY,
    }
}

unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller passes a C string that outlives its use. What is not UTF-8 becomes a name that nothing
    // equals.
    Some(unsafe { CStr::from_ptr(pointer) }.to_str().unwrap_or("\u{fffd}"))
}
