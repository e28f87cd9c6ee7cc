"""What a test reaches: which databases, and by which way; derived from its source, for scripts/attacks.

Rust: the test's body, the functions of its own program that it calls, and theirs. Names are followed as they are
written, so that a call is taken for every function of that name in the program. An engine is reached where one is
opened. What opens the fixture's engine is reached on both databases if scripts/test runs the program a second time,
on PostgreSQL; else on SQLite alone. A test with no engine in all that is a pure function's.
The client's suites: the services that tests/client/run starts for them.
"""
import os, re

import tagged_tests

# What opens an engine.
OPENS = {
    "SQLite": re.compile(r"\bSqlite\w+::(?:open|connect|new)\b|\bGuard::open\(|sqlite://[^p]|sqlite::memory"),
    "PostgreSQL": re.compile(r"\bPostgres\w+::open\b|\bPgConn\w+::(?:connect|new)\b|CREATE DATABASE"),
}
# The fixture that knows both, and opens the one that the environment names.
FIXTURE = re.compile(r"\bEngine::open\(")
EITHER = "aurora-core/tests/common/engine.rs"
# What a request comes in by.
ADAPTERS = {
    "axum": re.compile(r"\baurora_axum::(?:secure|serve\w*|AuroraLayer)\b"),
    "actix": re.compile(r"\baurora_actix::(?:secure|serve\w*)\b"),
}
# What both adapters hand a request to.
DOOR = re.compile(r"\bhttp(?:\(\))?\s*\.(?:call|admit|preflight|check_host|request_id)\(")
MODULE = re.compile(r"(?:#\[path = \"([^\"]+)\"\]\s*)?^(?:pub(?:\([^)]*\))? )?mod (\w+);", re.MULTILINE)
FUNCTION = re.compile(r"( *)(?:pub(?:\([^)]*\))? )?(?:const )?(?:async )?fn (\w+)")
IMPL = re.compile(r"impl(?:<[^{]*?>)? (?:[\w:]+(?:<[^{]*?>)? for )?(?:\w+::)*(\w+)")
CALL = re.compile(r"(?:\.\s*|\b(\w+)::|(?<![\w.:]))(\w+)(?:::<[^;()]*?>)?\(")
RECEIVER = re.compile(r"(\w+)\s*\.\s*(\w+)\(")
# Their methods are Aurora's own functions, not a fixture's requests.
BELOW = {"auth", "transaction", "database", "reader", "keyring", "outbox", "sessions", "limiter", "db", "tx"}
# sqlx's own, which a fixture has by the same names.
SQLX = {"execute", "close"}


class Function:
    def __init__(self, owner, name, body):
        # The type whose function it is, if it is one's.
        self.owner, self.name, self.body = owner, name, body
        self.is_method = "self" in body.split("{")[0]


def functions(text):
    """The functions of a file that is formatted as rustfmt does it, by the line of their `fn`."""
    found, owner = {}, None
    for number, line in enumerate(text):
        if implements := IMPL.match(line):
            owner = implements[1]
        elif line == "}":
            owner = None
        begins = FUNCTION.match(line)
        if not begins:
            continue
        end = number
        if not line.rstrip().endswith("}"):
            while end + 1 < len(text) and text[end] != begins[1] + "}":
                end += 1
        body = [part for part in text[number : end + 1] if not part.lstrip().startswith("//")]
        found[number + 1] = Function(owner if begins[1] else None, begins[2], "\n".join(body))
    return found


def program_of(file, texts):
    """The files of the program that a file of tests belongs to."""
    folder = os.path.dirname(file) + "/"
    files, waiting = [], [file]
    if folder + "main.rs" in texts and "/tests/" in folder:
        waiting += [one for one in texts if one.startswith(folder)]
    while waiting:
        one = waiting.pop()
        if one in files or one not in texts:
            continue
        files.append(one)
        if "/src/" in one:
            continue
        here = os.path.dirname(one)
        stem = os.path.splitext(os.path.basename(one))[0]
        for path, name in MODULE.findall("\n".join(texts[one])):
            for place in [path] if path else [f"{name}.rs", f"{name}/mod.rs", f"{stem}/{name}.rs"]:
                waiting.append(os.path.normpath(os.path.join(here, place)))
    return files


def program_name(file, texts):
    """What cargo calls the program that a file of tests belongs to: its folder's name, or its own."""
    folder = os.path.dirname(file)
    own_folder = "/tests/" in folder and f"{folder}/main.rs" in texts
    return os.path.basename(folder) if own_folder else os.path.splitext(os.path.basename(file))[0]


def twice(script):
    """The programs that scripts/test runs again on PostgreSQL, as patterns."""
    step = script.split("step_postgres() {")[1].split("\n}")[0]
    if "AURORA_TEST_ENGINE=postgres" not in step:
        return []
    return [pattern.strip("'").replace("*", ".*") for pattern in re.findall(r"--test ('[^']+'|\S+)", step)]


class Reach:
    def __init__(self, databases, ways):
        self.databases, self.ways = databases, ways

    def __or__(self, other):
        return Reach(self.databases | other.databases, self.ways | other.ways)


class Reaches:
    """What tests reach, by their place."""

    def __init__(self, texts):
        self.texts = texts
        self.functions = {file: functions(text) for file, text in texts.items() if file.endswith(".rs")}
        self.again = twice("\n".join(tagged_tests.lines("scripts/test")))
        run = "\n".join(tagged_tests.lines("tests/client/run"))
        self.on_actix = set(re.search(r"^on_both=\(([^)]*)\)", run, re.MULTILINE)[1].split())
        self.programs = {}

    def of(self, test):
        if not test.file.endswith(".rs"):
            adapters = {"axum", "actix"} if os.path.basename(test.file) in self.on_actix else {"axum"}
            return Reach({"SQLite"}, adapters)
        files = self.programs.get(test.file)
        if files is None:
            files = self.programs[test.file] = program_of(test.file, self.texts)
        known = {}
        for file in files:
            if file == EITHER:
                continue
            for function in self.functions[file].values():
                known.setdefault(function.name, []).append(function)
        bodies = self.called(self.functions[test.file][test.line], known)
        databases = {name for name, opens in OPENS.items() for body in bodies if opens.search(body)}
        if any(FIXTURE.search(body) for body in bodies):
            program = program_name(test.file, self.texts)
            is_twice = any(re.fullmatch(pattern, program) for pattern in self.again)
            always = program.startswith("postgres_")
            databases |= {"SQLite", "PostgreSQL"} if is_twice else {"PostgreSQL" if always else "SQLite"}
        ways = {name for name, used in ADAPTERS.items() for body in bodies if used.search(body)}
        for name in ADAPTERS:
            if test.file.startswith(f"aurora-{name}/") and len(ways) < 2:
                ways.add(name)
        if any(DOOR.search(body) for body in bodies):
            ways.add("door")
        return Reach(databases, ways)

    def called(self, test, known):
        """The bodies of a test and of all that it calls in its program."""
        seen, waiting = {id(test): test.body}, [test]
        while waiting:
            caller = waiting.pop()
            below = {name for receiver, name in RECEIVER.findall(caller.body) if receiver in BELOW}
            for call in CALL.finditer(caller.body):
                for function in known.get(call[2], []):
                    if call[0].startswith("."):
                        fits = function.is_method and call[2] not in below | SQLX
                    elif call[1] and call[1][0].isupper():
                        fits = function.owner == (caller.owner if call[1] == "Self" else call[1])
                    else:
                        fits = function.owner is None
                    if fits and id(function) not in seen:
                        seen[id(function)] = function.body
                        waiting.append(function)
        return list(seen.values())
