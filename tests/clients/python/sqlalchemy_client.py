"""SQLAlchemy 2 on psycopg 3 and on asyncpg: sessions, Core, bulk inserts, reflection, and a migration by Alembic."""

import asyncio
import decimal
import sys
import uuid

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.autogenerate import compare_metadata
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from report import PLACES, Report, dsn, told

report = Report()
REGIONS = list(PLACES)
engine = sa.create_engine(f"postgresql+psycopg://{dsn()}", pool_size=3, max_overflow=2)
asynchronous = create_async_engine(f"postgresql+asyncpg://{dsn()}", pool_size=3)


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "alc_authors"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(80), unique=True)
    tags: orm.Mapped[list] = orm.mapped_column(pg.ARRAY(sa.Text), default=list)
    about: orm.Mapped[dict] = orm.mapped_column(pg.JSONB, default=dict)
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "alc_books"
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(index=True, comment="as printed")
    price: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(10, 2), default=0)
    kind: orm.Mapped[str] = orm.mapped_column(sa.Enum("novel", "poems", name="alc_kind"), default="novel")
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("alc_authors.id", ondelete="CASCADE"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


rides = sa.Table("rides", sa.MetaData(), autoload_with=engine)
users = sa.Table("users", sa.MetaData(), autoload_with=engine)


class User(Base):
    __table__ = users


@report.feature("metadata: create all, twice")
def _():
    tables = [Author.__table__, Book.__table__]
    Base.metadata.drop_all(engine, tables=tables)
    Base.metadata.create_all(engine, tables=tables)
    Base.metadata.create_all(engine, tables=tables)
    return sa.inspect(engine).has_table("alc_books"), sa.inspect(engine).has_table("alc_nothing")


@report.feature("orm: a session's unit of work")
def _():
    with orm.Session(engine) as session:
        session.add_all([Author(name=f"author {n}", tags=[str(n)], about={"n": n},
                                books=[Book(title=f"book {n}.{m}", price=m, kind="poems" if m % 2 else "novel") for m in range(3)])
                         for n in range(5)])
        session.commit()
        ada = session.scalars(sa.select(Author).where(Author.name == "author 1")).one()
        ada.books[0].title = "renamed"
        ada.tags = ada.tags + ["more"]
        session.delete(session.scalars(sa.select(Author).where(Author.name == "author 2")).one())
        session.commit()
        return [(a.name, a.tags, a.about, sorted(b.title for b in a.books))
                for a in session.scalars(sa.select(Author).order_by(Author.id).options(orm.selectinload(Author.books)))]


@report.feature("orm: joined loading, aggregates, exists")
def _():
    with orm.Session(engine) as session:
        loaded = session.scalars(sa.select(Author).options(orm.joinedload(Author.books)).order_by(Author.id)).unique().all()
        grouped = session.execute(sa.select(Author.name, sa.func.count(Book.id), sa.func.sum(Book.price)).join(Book)
                                  .group_by(Author.name).having(sa.func.count() > 2).order_by(Author.name)).all()
        lonely = session.scalars(sa.select(Author.name).where(~Author.books.any(Book.kind == "poems"))).all()
        return [len(a.books) for a in loaded], grouped, lonely


@report.feature("orm: savepoints and errors")
def _():
    with orm.Session(engine) as session:
        session.add(Author(name="saved"))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Author(name="author 0"))
        except sa.exc.IntegrityError as error:
            found = told(error)
        session.commit()
        return found, session.scalar(sa.select(sa.func.count()).select_from(Author))


@report.feature("orm: with_for_update, skip locked")
def _():
    with orm.Session(engine) as one, orm.Session(engine) as two:
        first = one.scalars(sa.select(Author.name).order_by(Author.id).limit(1).with_for_update()).one()
        second = two.scalars(sa.select(Author.name).order_by(Author.id).limit(1).with_for_update(skip_locked=True)).one()
        two.rollback()
        key_share = two.scalars(sa.select(Author.name).order_by(Author.id).limit(1).with_for_update(read=True, key_share=True, skip_locked=True)).all()
        return first, second, key_share


@report.feature("orm: bulk insert, insertmanyvalues with returning")
def _():
    with orm.Session(engine) as session:
        ids = session.scalars(sa.insert(Author).returning(Author.id, sort_by_parameter_order=True),
                              [{"name": f"bulk {n}"} for n in range(2500)]).all()
        session.execute(sa.update(Author), [{"id": ids[n], "about": {"bulk": n}} for n in range(3)])
        session.commit()
        return len(ids), ids == sorted(ids), session.scalars(sa.select(Author.about).where(Author.id.in_(ids[:4])).order_by(Author.id)).all()


@report.feature("core: upsert, returning, cte, values, lateral")
def _():
    with engine.begin() as connection:
        upsert = pg.insert(Author).values(name="author 0", tags=["up"], about={}).on_conflict_do_update(
            index_elements=["name"], set_={"tags": ["upserted"]}).returning(Author.name, Author.tags)
        found = [connection.execute(upsert).all()]
        moved = sa.delete(Author).where(Author.name.like("bulk 1%")).returning(Author.id).cte("moved")
        found.append(connection.execute(sa.select(sa.func.count()).select_from(moved)).scalar())
        values = sa.values(sa.column("a", sa.Integer), sa.column("b", sa.Text), name="v").data([(1, "x"), (2, "y")])
        found.append(connection.execute(sa.select(values).order_by(values.c.a)).all())
        last = sa.select(Book.title).where(Book.author_id == Author.id).order_by(Book.id.desc()).limit(1).lateral("last")
        found.append(connection.execute(sa.select(Author.name, last.c.title).join(last, sa.true()).order_by(Author.id).limit(2)).all())
        return found


@report.feature("core: streamed by a cursor of the server")
def _():
    with engine.connect() as connection:
        result = connection.execution_options(stream_results=True, max_row_buffer=50).execute(sa.select(Author.name).order_by(Author.id))
        one = sum(1 for _ in result)
    with engine.connect() as connection:
        result = connection.execution_options(yield_per=20).execute(sa.select(users.c.user_id).order_by(users.c.user_id))
        return one, sum(1 for _ in result) > 20


@report.feature("core: isolation levels")
def _():
    found = []
    for level in ("SERIALIZABLE", "REPEATABLE READ", "AUTOCOMMIT"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            found.append(connection.scalar(sa.text("SHOW transaction_isolation")))
    with engine.connect() as connection:
        return found, connection.get_isolation_level(), connection.default_isolation_level


@report.feature("core: two-phase of the client's own")
def _():
    connection = engine.connect()
    transaction = connection.begin_twophase("alc")
    connection.execute(sa.text("SELECT 1"))
    try:
        transaction.prepare()
    except sa.exc.DBAPIError as error:
        connection.invalidate()
        return told(error)
    transaction.commit()
    connection.close()
    return "committed"


@report.feature("inspect: columns, keys, indexes, comments, enums")
def _():
    inspector = sa.inspect(engine)
    columns = [(c["name"], str(c["type"]), c["nullable"], c["default"], c.get("identity", {}).get("start")) for c in inspector.get_columns("alc_books")]
    return (columns, inspector.get_pk_constraint("alc_books"), inspector.get_foreign_keys("alc_books"), inspector.get_indexes("alc_books"),
            inspector.get_unique_constraints("alc_authors"), [e for e in inspector.get_enums() if e["name"].startswith("alc")])


@report.feature("inspect: sharded tables, views, schemas")
def _():
    inspector = sa.inspect(engine)
    return ([(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns("rides")], inspector.get_pk_constraint("rides"),
            sorted(i["name"] for i in inspector.get_indexes("rides")), inspector.get_check_constraints("rides"),
            sorted(set(inspector.get_table_names()) & {"rides", "users", "drivers", "regions"}),
            [s for s in inspector.get_schema_names() if not s.startswith(("pg_", "meridian"))])


@report.feature("sharded: orm objects by region")
def _():
    with orm.Session(engine) as session:
        for number, (region, (latitude, longitude, _)) in enumerate(PLACES.items()):
            session.add(User(user_id=uuid.UUID(int=7 * 10**6 + number), name=f"alc {number}", email="s@x", latitude=latitude,
                             longitude=longitude, region=region))
            session.commit()
        found = session.scalars(sa.select(User.name).where(User.email == "s@x").order_by(User.name)).all()
        one = session.scalars(sa.select(User).where(User.region == "us-west", User.email == "s@x")).one()
        return found, one.rating, session.get(User, uuid.UUID(int=7 * 10**6 + 2)).region


@report.feature("sharded: an object is changed and deleted by its primary key")
def _():
    with orm.Session(engine) as session:
        one = session.scalars(sa.select(User).where(User.region == "us-west", User.email == "s@x")).one()
        one.total_rides = 5
        try:
            session.commit()
            return "changed"
        except sa.exc.DBAPIError as error:
            return told(error)


@report.feature("sharded: changed with its region in the condition")
def _():
    with engine.begin() as connection:
        return connection.execute(sa.update(users).where(users.c.region == "us-west", users.c.email == "s@x")
                                  .values(total_rides=sa.literal(3) + 4).returning(users.c.total_rides)).all()


@report.feature("sharded: bulk insert of one region")
def _():
    latitude, longitude, _ = PLACES["eu-central"]
    rows = [dict(name=f"b {n}", email="bulk@x", latitude=latitude, longitude=longitude, region="eu-central") for n in range(700)]
    with engine.begin() as connection:
        made = connection.execute(sa.insert(users).returning(users.c.user_id), rows).all()
        return len(made), connection.scalar(sa.select(sa.func.count()).select_from(users).where(users.c.email == "bulk@x"))


@report.feature("sharded: aggregates and joins over all shards")
def _():
    with engine.connect() as connection:
        drivers = sa.Table("drivers", sa.MetaData(), autoload_with=connection)
        return (connection.execute(sa.select(rides.c.status, sa.func.count(), sa.func.avg(rides.c.price)).group_by(rides.c.status).order_by(rides.c.status)).all(),
                connection.scalar(sa.select(sa.func.count()).select_from(rides.join(drivers, rides.c.driver_id == drivers.c.driver_id))),
                connection.execute(sa.select(rides.c.ride_id).order_by(rides.c.price.desc().nulls_last(), rides.c.ride_id).limit(3).offset(1)).all(),
                connection.execute(sa.select(rides.c.region, sa.func.row_number().over(partition_by=rides.c.region, order_by=rides.c.ride_id))
                                   .where(rides.c.status == "cancelled").order_by(rides.c.ride_id).limit(3)).all())


@report.feature("alembic: operations in a transaction")
def _():
    with engine.begin() as connection:
        op = Operations(MigrationContext.configure(connection))
        op.create_table("alc_moved", sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.String(20)))
        op.add_column("alc_moved", sa.Column("w", sa.Integer, server_default="5"))
        op.alter_column("alc_moved", "v", new_column_name="u", existing_type=sa.String(20), type_=sa.Text, nullable=False)
        op.create_index("alc_moved_u", "alc_moved", ["u"], unique=True)
        op.create_check_constraint("alc_moved_w", "alc_moved", "w > 0")
        op.bulk_insert(sa.table("alc_moved", sa.column("id"), sa.column("u")), [{"id": 1, "u": "one"}, {"id": 2, "u": "two"}])
        op.execute("UPDATE alc_moved SET w = 6 WHERE id = 1")
        found = connection.execute(sa.text("SELECT * FROM alc_moved ORDER BY id")).all()
    columns = [(c["name"], str(c["type"])) for c in sa.inspect(engine).get_columns("alc_moved")]
    with engine.begin() as connection:
        Operations(MigrationContext.configure(connection)).drop_table("alc_moved")
    return found, columns


@report.feature("alembic: version table, and nothing to generate")
def _():
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "alc_version"})
        context._ensure_version_table()
        connection.commit()
        wanted = sa.MetaData()
        for table in (Author.__table__, Book.__table__):
            table.to_metadata(wanted)
        context = MigrationContext.configure(connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in wanted.tables})
        return context.get_current_revision(), compare_metadata(context, wanted)


@report.feature("asyncio: sessions on asyncpg")
async def _():
    factory = async_sessionmaker(asynchronous, expire_on_commit=False)

    async def one(number):
        async with factory() as session:
            session.add(Author(name=f"async {number}"))
            await session.commit()
            return await session.scalar(sa.select(sa.func.count()).select_from(users).where(users.c.region == REGIONS[number % 4])) > 0

    return await asyncio.gather(*(one(number) for number in range(8)))


@report.feature("asyncio: sharded rows, streamed, and errors")
async def _():
    async with asynchronous.connect() as connection:
        await connection.execute(sa.insert(users), dict(name="a", email="s@x", latitude=52.5, longitude=13.4, region="eu-central"))
        await connection.commit()
        result = await connection.stream(sa.select(users.c.name).where(users.c.email == "s@x").order_by(users.c.name, users.c.user_id))
        found = [row.name async for row in result]
        try:
            await connection.execute(sa.insert(Author).values(name="async 1"))
        except sa.exc.IntegrityError as error:
            found.append(type(error).__name__)
        await connection.rollback()
    await asynchronous.dispose()
    return found


@report.feature("metadata: drop all")
def _():
    Base.metadata.drop_all(engine, tables=[Author.__table__, Book.__table__])
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS alc_version"))
    engine.dispose()
    return sa.inspect(engine).has_table("alc_books")


sys.exit(report.run())
