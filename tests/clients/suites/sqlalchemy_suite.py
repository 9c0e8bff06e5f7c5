"""SQLAlchemy's tests of its PostgreSQL dialect, and its suite for dialects, with psycopg, against the server of PGHOST and
PGPORT: sqlalchemy_suite.py FOLDER [NAME…].

They connect to the database `postgres`, as a superuser.
"""

import contextlib
import os
import re
import sys

import psycopg
import pytest

from outcome import LEFT_OUT, is_among, left_out, one_line, tell

FILES = [
    "test/dialect/postgresql/test_async_pg.py",
    "test/dialect/postgresql/test_dialect.py",
    "test/dialect/postgresql/test_on_conflict.py",
    "test/dialect/postgresql/test_query.py",
    "test/dialect/postgresql/test_reflection.py",
    "test/dialect/postgresql/test_types.py",
    "test/dialect/test_suite.py",
]
URL = "postgresql+psycopg://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}"
# What the suite's own documentation says must be there.
BEFORE = [
    "CREATE EXTENSION IF NOT EXISTS hstore",
    "CREATE EXTENSION IF NOT EXISTS citext",
    "CREATE SCHEMA IF NOT EXISTS test_schema",
    "CREATE SCHEMA IF NOT EXISTS test_schema_2",
]
PATTERNS = left_out("sqlalchemy")


def name_of(node):
    """Without the database and its version, which stand behind a class."""
    return re.sub(r"_postgresql\+psycopg[0-9_]*(::|$)", r"\1", node)


class Outcomes:
    """A plugin: sets aside what is left out, and notes what became of the rest."""

    def __init__(self):
        self.found = {}

    def pytest_collection_modifyitems(self, items):
        chosen = [item for item in items if not is_among(name_of(item.nodeid), PATTERNS)]
        for item in items:
            if item not in chosen:
                self.found[name_of(item.nodeid)] = f"skipped: {LEFT_OUT}"
        items[:] = chosen

    def pytest_runtest_logreport(self, report):
        name = name_of(report.nodeid)
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.found[name] = f"failed: {one_line(crash.message if crash else report.longreprtext)}"
        elif report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.found.setdefault(name, f"skipped: {one_line(why)}")
        elif report.when == "call":
            self.found.setdefault(name, "passed")


folder, names = sys.argv[1], sys.argv[2:]
os.chdir(folder)
with psycopg.connect(autocommit=True) as connection:
    for statement in BEFORE:
        connection.execute(statement)
outcomes = Outcomes()
options = ["-p", "no:cacheprovider", "-q", "--no-header", "--maxfail=100000", "--dburi", URL.format(**os.environ)]
with contextlib.redirect_stdout(sys.stderr):
    pytest.main(options + (names or FILES), plugins=[outcomes])
tell(outcomes.found)
