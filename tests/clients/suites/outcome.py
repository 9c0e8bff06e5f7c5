"""What a suite prints: one line for each of its tests: name, tab, "passed", "skipped: why" or "failed: why".

What is compared is the word before the colon; why is for the reader. A suite's notes, NAME.txt beside this file, say which
of its tests are left out.
"""

import os
import pathlib
import sys
import time
import traceback
import unittest

LEFT_OUT = "left out, see the notes"


def left_out(suite):
    """Names of tests that are not run; one that ends in a star stands for all that begin so."""
    names, listing = [], False
    for line in pathlib.Path(__file__).with_name(f"{suite}.txt").read_text().splitlines():
        if line.startswith(" "):
            names += [line.strip()] if listing else []
        elif line.strip():
            listing = line.startswith("left out: ")
    return names


def is_among(name, patterns):
    return any(name == one or (one.endswith("*") and name.startswith(one[:-1])) for one in patterns)


def one_line(text):
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    return (lines[0] if lines else "")[:300].replace("\t", " ")


def told(error):
    return f"{type(error).__name__}: {one_line(error)}"


class Outcomes(unittest.TestResult):
    """Those of `unittest`. A test of which one part fails has failed."""

    def __init__(self):
        super().__init__()
        self.found = {}
        self.trace = bool(os.environ.get("TRACE"))

    def note(self, test, outcome, error=None):
        if isinstance(error, BaseException) and self.trace:
            print(f"--- {test.id()}", file=sys.stderr)
            traceback.print_exception(error)
        why = told(error) if isinstance(error, BaseException) else one_line(error)
        if not self.found.get(test.id(), "").startswith("failed"):
            self.found[test.id()] = f"{outcome}: {why}" if why else outcome

    def startTest(self, test):
        self.begun = time.monotonic()

    def stopTest(self, test):
        if self.trace:
            print(f"{time.monotonic() - self.begun:.3f}\t{test.id()}", file=sys.stderr)

    def addSuccess(self, test):
        self.note(test, "passed")

    def addError(self, test, err):
        self.note(test, "failed", err[1])

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note(test, "failed", err[1])

    def addSkip(self, test, reason):
        self.note(getattr(test, "test_case", test), "skipped", reason)

    def addExpectedFailure(self, test, err):
        self.note(test, "skipped", "expected to fail")

    def addUnexpectedSuccess(self, test):
        self.note(test, "passed")

    def run(self, tests, patterns):
        """Runs tests in their order, but for those that are left out."""
        chosen = unittest.TestSuite()
        for test in flat(tests):
            if is_among(test.id(), patterns):
                self.note(test, "skipped", LEFT_OUT)
            else:
                chosen.addTest(test)
        chosen.run(self)

    def print(self):
        tell(self.found)


def flat(tests):
    for test in tests:
        if isinstance(test, unittest.BaseTestSuite):
            yield from flat(test)
        else:
            yield test


def tell(found):
    for name, outcome in sorted(found.items()):
        print(f"{name}\t{outcome}")
    sys.stdout.flush()
