"""Django's ORM on psycopg 3: migrations, models, queries, locks, cursors of the server, and inspectdb."""

import datetime
import io
import os
import threading
import uuid
import warnings

import django
from django.conf import settings

from report import PLACES, Report, told

REGIONS = list(PLACES)
DATABASE = dict(ENGINE="django.db.backends.postgresql", NAME=os.environ["PGDATABASE"], USER=os.environ["PGUSER"],
                PASSWORD=os.environ["PGPASSWORD"], HOST=os.environ["PGHOST"], PORT=os.environ["PGPORT"])
settings.configure(DATABASES={"default": DATABASE}, INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_project.shop"],
                   DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True, TIME_ZONE="UTC")
warnings.filterwarnings("ignore", category=RuntimeWarning, message=".*naive datetime.*")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Lower, RowNumber, TruncMonth  # noqa: E402

from django_project.shop.models import Customer, Label, Order, Ride, User  # noqa: E402

report = Report()


def error_of(work):
    try:
        return work()
    except DatabaseError as error:
        return told(error)


def command(*words, **keywords):
    out = io.StringIO()
    call_command(*words, stdout=out, no_color=True, **keywords)
    return out.getvalue()


@report.feature("migrations: of Django's own applications")
def _():
    done = command("migrate", "auth", verbosity=1)
    return done.count("OK"), "contenttypes" in command("showmigrations")


@report.feature("migrations: tables, indexes, constraints, data")
def _():
    done = command("migrate", "shop", verbosity=1)
    return done.count("OK"), list(Label.objects.values_list("text", flat=True))


@report.feature("migrations: nothing is left to do")
def _():
    return "No planned" in command("migrate", plan=True), command("sqlmigrate", "shop", "0002").count("ALTER TABLE")


@report.feature("orm: create, get, update, delete")
def _():
    ada = Customer.objects.create(name="Ada", tags={"a": [1]}, joined=datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc))
    bob, made = Customer.objects.get_or_create(name="Bob")
    bob, again = Customer.objects.update_or_create(name="Bob", defaults={"tags": {"b": 2}})
    Customer.objects.filter(pk=ada.pk).update(tags={"a": [1, 2]})
    ada.refresh_from_db()
    gone = Customer.objects.create(name="Gone")
    return ada.tags, made, again, gone.delete(), list(Customer.objects.order_by("name").values_list("name", "tags"))


@report.feature("orm: bulk create, bulk update, upsert")
def _():
    made = Customer.objects.bulk_create([Customer(name=f"c{n}") for n in range(300)], batch_size=100)
    for n, customer in enumerate(made):
        customer.tags = {"n": n}
    changed = Customer.objects.bulk_update(made, ["tags"], batch_size=100)
    Customer.objects.bulk_create([Customer(name="c1", tags={"up": 1}), Customer(name="new")], update_conflicts=True,
                                 unique_fields=["name"], update_fields=["tags"])
    return all(c.pk for c in made), changed, Customer.objects.count(), Customer.objects.get(name="c1").tags


@report.feature("orm: relations, prefetch, many to many")
def _():
    ada = Customer.objects.get(name="Ada")
    labels = [Label.objects.create(text=f"l{n}") for n in range(3)]
    for n in range(4):
        order = Order.objects.create(customer=ada, total=n, paid=n % 2 == 0)
        order.labels.set(labels[:n])
    loaded = Customer.objects.prefetch_related("orders__labels").get(name="Ada")
    return ([sorted(l.text for l in o.labels.all()) for o in loaded.orders.order_by("total")],
            [o.customer.name for o in Order.objects.select_related("customer").filter(labels__text="l1").distinct()])


@report.feature("orm: aggregates, subqueries, windows, dates, json")
def _():
    latest = Order.objects.filter(customer=OuterRef("pk")).order_by("-total").values("total")[:1]
    return (Order.objects.aggregate(n=Count("id"), s=Sum("total"), a=Avg("total")),
            list(Customer.objects.annotate(n=Count("orders"), last=Subquery(latest)).filter(n__gt=0).values_list("name", "n", "last")),
            list(Customer.objects.filter(Exists(Order.objects.filter(customer=OuterRef("pk"), paid=True))).values_list(Lower("name"), flat=True)),
            list(Order.objects.annotate(r=Window(RowNumber(), partition_by=F("paid"), order_by=F("total").asc())).order_by("total").values_list("total", "r")),
            list(Customer.objects.filter(joined__isnull=False).annotate(m=TruncMonth("joined")).values("m").annotate(n=Count("id"))),
            Customer.objects.filter(tags__n__gte=298).count(), list(Customer.objects.filter(Q(name__icontains="ad") | Q(tags__has_key="b")).order_by("name").values_list("name", flat=True)),
            list(Customer.objects.filter(name__in=["Ada"]).union(Customer.objects.filter(name="Bob")).order_by("name").values_list("name", flat=True)))


@report.feature("transactions: atomic blocks, savepoints, errors")
def _():
    found = []
    with transaction.atomic():
        Label.objects.create(text="kept")
        try:
            with transaction.atomic():
                Label.objects.create(text="lost")
                Customer.objects.create(name="Ada")
        except IntegrityError as error:
            found.append(told(error))
        transaction.on_commit(lambda: found.append("committed"))
    try:
        with transaction.atomic():
            Label.objects.create(text="undone")
            raise KeyError
    except KeyError:
        pass
    return found, sorted(Label.objects.filter(text__in=["kept", "lost", "undone"]).values_list("text", flat=True))


@report.feature("locks: select_for_update, skip locked, of")
def _():
    found = []

    def other():
        with transaction.atomic():
            found.append(list(Customer.objects.select_for_update(skip_locked=True).filter(name__in=["Ada", "Bob"]).order_by("name").values_list("name", flat=True)))
        found.append(error_of(lambda: nowait()))
        connection.close()

    def nowait():
        with transaction.atomic():
            return Customer.objects.select_for_update(nowait=True).get(name="Ada").name

    with transaction.atomic():
        found.append(Customer.objects.select_for_update(no_key=True).get(name="Ada").name)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        found.append(Order.objects.select_related("customer").select_for_update(of=("self",)).order_by("total").first().total)
    return found


@report.feature("cursors: iterator, in a transaction and out of one")
def _():
    found = [sum(1 for _ in Customer.objects.iterator(chunk_size=50))]
    with transaction.atomic():
        found.append(sum(1 for _ in Customer.objects.order_by("pk").iterator(chunk_size=50)))
    return found


@report.feature("cursors: iterator over all shards")
def _():
    found = [sum(1 for _ in Ride.objects.iterator(chunk_size=100)) > 100]
    with transaction.atomic():
        rows = [str(ride.ride_id) for ride in Ride.objects.order_by("ride_id").iterator(chunk_size=100)]
    return found, rows == sorted(rows)


@report.feature("raw: cursors, callproc, parameters")
def _():
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s, %s", ["it's", None])
        found = [cursor.fetchone(), cursor.description[0].name]
        cursor.callproc("lower", ["ABC"])
        found.append(cursor.fetchone())
    return found, [c.name for c in Customer.objects.raw("SELECT * FROM shop_customer WHERE name = %s", ["Ada"])]


@report.feature("introspection: inspectdb of tables of all kinds")
def _():
    text = command("inspectdb", "shop_order", "shop_customer", "rides", "users", "regions")
    return [line.strip() for line in text.splitlines() if "=" in line or line.startswith("class")]


@report.feature("introspection: constraints and sequences")
def _():
    with connection.cursor() as cursor:
        introspection = connection.introspection
        constraints = introspection.get_constraints(cursor, "shop_order")
        return (sorted((name.split("_", 2)[-1][:12], c["columns"] or [], c["primary_key"], c["unique"], c["check"], c["foreign_key"] or ()) for name, c in constraints.items()),
                introspection.get_sequences(cursor, "shop_customer"), sorted(t.name for t in introspection.get_table_list(cursor) if t.name in ("rides", "users", "shop_label")))


@report.feature("sharded: objects by region")
def _():
    for number, (region, (latitude, longitude, _)) in enumerate(PLACES.items()):
        User.objects.create(user_id=uuid.UUID(int=8 * 10**6 + number), name=f"dj {number}", email="d@x", latitude=latitude, longitude=longitude, region=region)
    return (list(User.objects.filter(email="d@x").order_by("name").values_list("name", "region")),
            User.objects.filter(region="us-west", email="d@x").update(total_rides=F("total_rides") + 1),
            User.objects.get(region="us-west", email="d@x").total_rides, User.objects.filter(region__in=["us-west", "ap-south"], email="d@x").count())


@report.feature("sharded: an object is saved by its primary key")
def _():
    one = User.objects.get(region="us-west", email="d@x")
    one.total_rides = 9
    return error_of(lambda: one.save())


def bulk(regions):
    rows = [User(name=f"b{n}", email="db@x", latitude=PLACES[r][0], longitude=PLACES[r][1], region=r) for n, r in enumerate(regions)]
    made = error_of(lambda: len(User.objects.bulk_create(rows)))
    return made, [User.objects.filter(email="db@x", region=region).delete()[0] for region in REGIONS]


@report.feature("sharded: bulk create of one region")
def _():
    return bulk(["eu-central"] * 50)


@report.feature("sharded: bulk create of all regions")
def _():
    return bulk(REGIONS)


@report.feature("sharded: aggregates over all shards")
def _():
    return (list(Ride.objects.values("status").annotate(n=Count("*"), s=Sum("price"), a=Avg("price")).order_by("status")),
            list(Ride.objects.order_by(F("price").desc(nulls_last=True), "ride_id").values_list("ride_id", flat=True)[2:5]),
            Ride.objects.filter(price__gt=Subquery(Ride.objects.values("status").annotate(a=Avg("price")).values("a").order_by("a")[:1])).count(),
            list(Ride.objects.values_list("region", flat=True).distinct().order_by("region")), Ride.objects.filter(region="us-east").exists())


@report.feature("sharded: deleted by region")
def _():
    return [User.objects.filter(email="d@x", region=region).delete()[0] for region in REGIONS]


@report.feature("migrations: back to nothing")
def _():
    done = command("migrate", "shop", "zero", verbosity=1)
    return done.count("OK"), "shop_order" in connection.introspection.table_names()


@report.feature("management: check, sqlsequencereset")
def _():
    return command("check", databases=["default"]), "setval" in command("sqlsequencereset", "auth")


@report.feature("migrations: Django's own applications back to nothing")
def _():
    done = command("migrate", "auth", "zero", verbosity=1) + command("migrate", "contenttypes", "zero", verbosity=1)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_migrations")
    return done.count("OK")


report.run()
