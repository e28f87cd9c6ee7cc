"""The project's tests and what their comments say of themselves; read by scripts/asvs and scripts/attacks.

A test of Rust is a function beneath `#[test]`, `#[tokio::test]` or `#[actix_web::test]`, and its comment the `///`
lines above the attributes. A test of a client suite is a call of `test(` at the start of a line, and its comment the
`//` lines above it. What stands in a helper, in a body or above a module is no test's comment.
"""
import os, re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED = {"target", "node_modules", ".git"}
TEST_ATTRIBUTE = re.compile(r"#\[(\w+::)*test\b")
FUNCTION = re.compile(r"(?:pub(?:\([^)]*\))? )?(?:async )?fn (\w+)")
SCRIPT_TEST = re.compile(r"\s*test\((['\"`])(.*?)\1")


class Test:
    def __init__(self, file, line, name, comment, ignored):
        self.file, self.line, self.name, self.comment, self.ignored = file, line, name, comment, ignored
        self.text = " ".join(text for _, text in comment)

    def __str__(self):
        return f"{self.file}::{self.name}" if self.file.endswith(".rs") else f"{self.file} ({self.name!r})"


def files():
    """Every source that may hold a test, by its path from the root."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            if name.endswith((".rs", ".mjs")):
                found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return found


def lines(file):
    with open(os.path.join(ROOT, file), encoding="utf-8") as source:
        return source.read().split("\n")


def rust(file, text):
    found, comment, is_test, ignored, open_brackets = [], [], False, False, 0
    for number, line in enumerate(text, 1):
        stripped = line.strip()
        if open_brackets > 0 or stripped.startswith("#["):
            if open_brackets == 0:
                is_test = is_test or bool(TEST_ATTRIBUTE.match(stripped))
                ignored = ignored or stripped.startswith("#[ignore")
            open_brackets += stripped.count("[") - stripped.count("]")
            continue
        if stripped.startswith("///"):
            comment.append((number, stripped[3:].strip()))
            continue
        function = FUNCTION.match(stripped)
        if function and is_test:
            found.append(Test(file, number, function[1], comment, ignored))
        comment, is_test, ignored = [], False, False
    return found


def script(file, text):
    found, comment = [], []
    for number, line in enumerate(text, 1):
        stripped = line.strip()
        if stripped.startswith("//"):
            comment.append((number, stripped[2:].strip()))
            continue
        test = SCRIPT_TEST.match(line)
        if test:
            found.append(Test(file, number, test[2], comment, False))
        comment = []
    return found


def read():
    """All tests, and the text of every file by its path."""
    texts = {file: lines(file) for file in files()}
    tests = []
    for file, text in texts.items():
        tests += rust(file, text) if file.endswith(".rs") else script(file, text)
    return tests, texts
