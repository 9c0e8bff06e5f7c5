"""Django's settings for its own tests: two databases in one, told apart by a schema; outcomes are printed."""

import os

import psycopg
from django.test.runner import DiscoverRunner

from outcome import Outcomes, left_out

DEFAULT = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["PGDATABASE"],
    "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"],
    "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"],
    # No database is created, as none could be reached.
    "TEST": {"NAME": os.environ["PGDATABASE"]},
}
# Two names of the host, as Django takes databases of the same host and name for one.
OTHER = {**DEFAULT, "HOST": "localhost", "OPTIONS": {"options": "-c search_path=other"}}
DATABASES = {"default": DEFAULT, "other": OTHER}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "django_settings.Runner"

with psycopg.connect(autocommit=True) as connection:
    connection.execute("CREATE SCHEMA IF NOT EXISTS other")


class Runner(DiscoverRunner):
    def run_suite(self, suite, **options):
        outcomes = Outcomes()
        outcomes.run(suite, left_out("django"))
        outcomes.print()
        return outcomes
