"""Django's tests of its ORM, against the server of PGHOST and PGPORT: django_suite.py FOLDER [LABEL…].

They connect to the database `postgres`, as a superuser. Where they want two databases, the other one is a schema of it: its
sessions have another search_path.
"""

import os
import subprocess
import sys

# Each is a run of its own, with the tables of these applications. Not here, though they pass as well: schema and migrations,
# where every statement changes the schema, after which the catalog is read anew. They take many minutes; by hand:
# django_suite.py FOLDER schema migrations.
RUNS = [
    """aggregation aggregation_regress annotations backends basic bulk_create composite_pk constraints custom_columns
    custom_lookups custom_pk datatypes dates datetimes db_functions db_typecasts db_utils defer delete delete_regress
    distinct_on_fields expressions expressions_case expressions_window extra_regress field_defaults filtered_relation
    force_insert_update foreign_object from_db_value generic_relations get_or_create indexes inspectdb introspection lookup
    m2m_and_m2o m2m_through many_to_many many_to_one migrate_signals model_fields model_inheritance multiple_database
    nested_foreign_keys null_queries ordering prefetch_related queries raw_query reserved_names save_delete_hooks
    select_for_update select_related select_related_onetoone timezones transaction_hooks transactions update
    update_only_fields validation""",
    "postgres_tests",
]

folder, labels = sys.argv[1], sys.argv[2:]
runs = [labels] if labels else [run.split() for run in RUNS]
paths = [os.path.dirname(os.path.abspath(__file__)), os.path.join(folder, "tests")]
environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
options = ["--settings=django_settings", "--parallel=1", "--keepdb", "--verbosity=0"]
for run in runs:
    # It ends with an error where a test fails, which is for the reader of the outcomes to judge.
    subprocess.run([sys.executable, "-B", "runtests.py", *options, *run], cwd=paths[1], env=environment)
