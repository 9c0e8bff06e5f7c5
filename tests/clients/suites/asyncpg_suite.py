"""asyncpg's own tests, against the server of PGHOST and PGPORT: asyncpg_suite.py FOLDER [NAME…].

They connect to the database `postgres`, as a superuser. Those that start servers of their own skip themselves.
"""

import os
import sys
import unittest

from outcome import Outcomes, left_out

folder, names = sys.argv[1], sys.argv[2:]
sys.path.insert(0, folder)
os.chdir(folder)
loader = unittest.TestLoader()
tests = loader.loadTestsFromNames(names) if names else loader.discover("tests", top_level_dir=folder)
outcomes = Outcomes()
outcomes.run(tests, left_out("asyncpg"))
outcomes.print()
