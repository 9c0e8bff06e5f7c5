"""What a program of tests/clients prints: one line for each feature, "area: what" and its result, parted by a tab.

The same program runs against a plain PostgreSQL and against Meridian, and the lines are compared. A result is therefore
a value that does not differ from run to run: no ports, no times, no process ids. An error is a result too: its SQLSTATE
and its message.
"""

import asyncio
import os
import traceback

PLACES = {
    # region: latitude, longitude, geohash
    "us-east": (40.7128, -74.006, "dr5regw3p"),
    "us-west": (34.0522, -118.2437, "9q5ctr186"),
    "eu-central": (52.52, 13.405, "u33dc0cpp"),
    "ap-south": (19.076, 72.8777, "te7ud2evv"),
}


def dsn():
    """The address of the target, as a URL without the driver's name."""
    return "{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format(**os.environ)


def told(error):
    """An error as a client may show it, whichever driver raised it."""
    original = getattr(error, "orig", None) or error.__cause__ or error
    sqlstate = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if sqlstate is None and error.__class__.__module__ != "builtins" and original is not error:
        return told(original)
    if sqlstate is None:
        return f"broken: {type(error).__name__}: {error}".splitlines()[0]
    diagnostics = getattr(original, "diag", None)
    message = diagnostics.message_primary if diagnostics is not None else getattr(original, "message", str(original))
    return f"error {sqlstate} {message}"


class Report:
    """Features in the order in which they were declared."""

    def __init__(self):
        self.features = []

    def feature(self, name):
        def declare(work):
            self.features.append((name, work))
            return work

        return declare

    def run(self):
        with asyncio.Runner() as runner:
            for name, work in self.features:
                try:
                    result = work()
                    if asyncio.iscoroutine(result):
                        result = runner.run(result)
                    result = repr(result)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
                    result = told(error)
                    if os.environ.get("TRACE"):
                        traceback.print_exc()
                print(f"{name}\t{result}".replace("\n", "\\n"), flush=True)
