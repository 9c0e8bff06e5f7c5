/*
 * libpq: simple, extended and prepared statements in text and binary, single-row and pipeline mode, COPY, large objects by
 * function calls, cancel, notifications. Prints one line for each feature and its result, as ../python/report.py does.
 */

#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static char line[65536];

static void add(const char *format, ...)
{
	va_list arguments;
	size_t at = strlen(line);

	va_start(arguments, format);
	vsnprintf(line + at, sizeof line - at, format, arguments);
	va_end(arguments);
}

static void tell(const char *feature)
{
	for (char *c = line; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	printf("%s\t%s\n", feature, line);
	fflush(stdout);
	line[0] = '\0';
}

static PGconn *connected(void)
{
	PGconn *connection = PQconnectdb("");

	if (PQstatus(connection) != CONNECTION_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	return connection;
}

/* Rows, or the tag, or the error. */
static void add_result(PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_FATAL_ERROR || status == PGRES_NONFATAL_ERROR)
		add("[error %s %s]", PQresultErrorField(result, PG_DIAG_SQLSTATE), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	else if (status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE)
	{
		add("[%s:", PQcmdStatus(result));
		for (int row = 0; row < PQntuples(result); row++)
			for (int column = 0; column < PQnfields(result); column++)
				add(" %s=%s", PQfname(result, column), PQgetisnull(result, row, column) ? "NULL" : PQgetvalue(result, row, column));
		add("]");
	}
	else
		add("[%s %s]", PQresStatus(status), PQcmdStatus(result));
	PQclear(result);
}

static void run(PGconn *connection, const char *sql)
{
	add_result(PQexec(connection, sql));
}

static void parameters(void)
{
	static const char *const names[] = {"server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
		"standard_conforming_strings", "is_superuser", "session_authorization", "IntervalStyle", "application_name"};
	PGconn *connection = connected();

	add("%d %d ", PQprotocolVersion(connection), PQserverVersion(connection));
	for (size_t at = 0; at < sizeof names / sizeof *names; at++)
		add("%s ", PQparameterStatus(connection, names[at]));
	tell("connection: parameters");
	PGresult *result = PQexec(connection, "SELECT pg_backend_pid()");
	add("%d", atoi(PQgetvalue(result, 0, 0)) == PQbackendPID(connection));
	PQclear(result);
	tell("connection: process id");
	PQreset(connection);
	run(connection, "SELECT 'after reset'");
	tell("connection: reset");
	PQfinish(connection);
	add("%d %d", PQping(""), PQping("port=1"));
	tell("connection: ping");
}

static void statements(void)
{
	PGconn *connection = connected();
	uint32_t number = htonl(41);
	const char *values[] = {(const char *) &number, "text", NULL};
	const int lengths[] = {4, 0, 0}, formats[] = {1, 0, 0};

	run(connection, "SELECT 1 AS a, NULL AS b; SELECT 2 AS c");
	run(connection, "");
	run(connection, "SELECT nope");
	tell("statements: simple, several, empty, wrong");
	add_result(PQexecParams(connection, "SELECT $1::int4 + 1 AS n, $2 AS t, $3::text AS nothing", 3, NULL, values, lengths, formats, 0));
	PGresult *result = PQexecParams(connection, "SELECT 258::int4, 1.5::float8, 'x'::text", 0, NULL, NULL, NULL, NULL, 1);
	add(" %d %d %d %d", ntohl(*(uint32_t *) PQgetvalue(result, 0, 0)), PQgetlength(result, 0, 1), PQfformat(result, 2), PQftype(result, 1));
	PQclear(result);
	tell("statements: parameters in text and binary");
	PQclear(PQprepare(connection, "by_region", "SELECT count(*) AS n FROM users WHERE region = $1 AND total_rides >= $2", 0, NULL));
	result = PQdescribePrepared(connection, "by_region");
	add("%d %u %u %d %s", PQnparams(result), PQparamtype(result, 0), PQparamtype(result, 1), PQnfields(result), PQfname(result, 0));
	PQclear(result);
	static const char *const regions[] = {"us-east", "us-west", "eu-central", "ap-south"};
	for (int at = 0; at < 8; at++)
	{
		const char *given[] = {regions[at % 4], "0"};
		add_result(PQexecPrepared(connection, "by_region", 2, given, NULL, NULL, 0));
	}
	add_result(PQexecPrepared(connection, "unknown", 0, NULL, NULL, NULL, 0));
	add_result(PQprepare(connection, "by_region", "SELECT 1", 0, NULL));
	run(connection, "DEALLOCATE by_region");
	tell("statements: prepared, described, again, deallocated");
	result = PQexec(connection, "SELECT 1 FROM users WHERE nope = 3");
	add("%s %s %s %s", PQresultErrorField(result, PG_DIAG_SEVERITY), PQresultErrorField(result, PG_DIAG_SQLSTATE),
		PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION), PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION));
	PQclear(result);
	tell("statements: fields of an error");
	PQsendQuery(connection, "SELECT name FROM users WHERE region = 'us-east' ORDER BY name, user_id LIMIT 200");
	PQsetSingleRowMode(connection);
	int rows = 0;
	while ((result = PQgetResult(connection)))
	{
		rows += PQresultStatus(result) == PGRES_SINGLE_TUPLE;
		PQclear(result);
	}
	PQsendQueryParams(connection, "SELECT name FROM users ORDER BY name, user_id", 0, NULL, NULL, NULL, NULL, 0);
	PQsetSingleRowMode(connection);
	while ((result = PQgetResult(connection)))
	{
		rows += 1000 * (PQresultStatus(result) == PGRES_SINGLE_TUPLE);
		PQclear(result);
	}
	add("%d", rows);
	tell("statements: row by row");
	run(connection, "BEGIN");
	run(connection, "DECLARE c SCROLL CURSOR FOR SELECT g FROM generate_series(1, 9) g");
	result = PQdescribePortal(connection, "c");
	add("%d %s", PQnfields(result), PQfname(result, 0));
	PQclear(result);
	run(connection, "FETCH 2 FROM c");
	run(connection, "MOVE LAST IN c");
	run(connection, "FETCH PRIOR FROM c");
	run(connection, "DECLARE d CURSOR FOR SELECT region, count(*) FROM users GROUP BY region ORDER BY region");
	result = PQdescribePortal(connection, "d");
	add("%d %s", PQnfields(result), PQfname(result, 1));
	PQclear(result);
	run(connection, "FETCH 2 FROM d");
	run(connection, "COMMIT");
	result = PQdescribePortal(connection, "d");
	add_result(result);
	tell("cursor: described, of one shard and of all");
	PQfinish(connection);
}

static void pipelines(void)
{
	PGconn *connection = connected();
	PGresult *result;

	run(connection, "CREATE TABLE IF NOT EXISTS libpq_t (id int PRIMARY KEY, v text)");
	line[0] = '\0';
	PQenterPipelineMode(connection);
	for (int at = 0; at < 3; at++)
	{
		char number[12];
		const char *values[] = {number};

		snprintf(number, sizeof number, "%d", at);
		PQsendQueryParams(connection, "INSERT INTO libpq_t VALUES ($1, 'piped')", 1, NULL, values, NULL, NULL, 0);
		PQsendQueryParams(connection, "SELECT count(*) FROM users WHERE region = 'us-west' AND $1 >= '0'", 1, NULL, values, NULL, NULL, 0);
	}
	PQpipelineSync(connection);
	PQsendQueryParams(connection, "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0);
	PQsendQueryParams(connection, "SELECT 'skipped'", 0, NULL, NULL, NULL, NULL, 0);
	PQpipelineSync(connection);
	PQsendPrepare(connection, "p", "SELECT id FROM libpq_t ORDER BY id", 0, NULL);
	PQsendFlushRequest(connection);
	PQsendQueryPrepared(connection, "p", 0, NULL, NULL, NULL, 0);
	PQpipelineSync(connection);
	for (int syncs = 0; syncs < 3;)
	{
		result = PQgetResult(connection);
		if (!result)
			continue;
		syncs += PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		add_result(result);
	}
	add("%d", PQexitPipelineMode(connection));
	tell("pipeline: syncs, an error, a flush");
	run(connection, "DROP TABLE libpq_t");
	line[0] = '\0';
	PQfinish(connection);
}

static void copies(void)
{
	PGconn *connection = connected();
	char *buffer;
	int length, rows = 0;

	run(connection, "CREATE TABLE IF NOT EXISTS libpq_copy (id int, v text)");
	line[0] = '\0';
	PQclear(PQexec(connection, "COPY libpq_copy FROM STDIN"));
	PQputCopyData(connection, "1\to", 3);
	PQputCopyData(connection, "ne\n2\t\\N\n", 8);
	PQputCopyEnd(connection, NULL);
	add_result(PQgetResult(connection));
	PQclear(PQgetResult(connection));
	PQclear(PQexec(connection, "COPY libpq_copy FROM STDIN"));
	PQputCopyData(connection, "3\tx\n", 4);
	PQputCopyEnd(connection, "enough");
	add_result(PQgetResult(connection));
	PQclear(PQgetResult(connection));
	PQclear(PQexec(connection, "COPY libpq_copy TO STDOUT (FORMAT csv)"));
	while ((length = PQgetCopyData(connection, &buffer, 0)) > 0)
	{
		add("{%.*s}", length, buffer);
		PQfreemem(buffer);
	}
	add_result(PQgetResult(connection));
	PQclear(PQgetResult(connection));
	tell("copy: in, given up, and out");
	PQclear(PQexec(connection, "COPY rides (ride_id) TO STDOUT"));
	while ((length = PQgetCopyData(connection, &buffer, 0)) > 0)
	{
		rows++;
		PQfreemem(buffer);
	}
	add("%d ", rows);
	add_result(PQgetResult(connection));
	PQclear(PQgetResult(connection));
	run(connection, "DROP TABLE libpq_copy");
	tell("copy: out of all shards");
	PQfinish(connection);
}

static void large_objects(void)
{
	PGconn *connection = connected();
	char bytes[16] = {0};

	PQclear(PQexec(connection, "BEGIN"));
	Oid object = lo_creat(connection, INV_READ | INV_WRITE);
	int descriptor = lo_open(connection, object, INV_READ | INV_WRITE);
	add("%d %d", object != 0, lo_write(connection, descriptor, "large object", 12));
	add(" %d", (int) lo_lseek64(connection, descriptor, 6, SEEK_SET));
	add(" %d %s", lo_read(connection, descriptor, bytes, 6), bytes);
	add(" %d %d", lo_close(connection, descriptor), lo_unlink(connection, object));
	PQclear(PQexec(connection, "COMMIT"));
	tell("large objects: by function calls");
	PQfinish(connection);
}

static void notifications(void)
{
	PGconn *listener = connected(), *speaker = connected();
	PGnotify *note = NULL;

	PQclear(PQexec(listener, "LISTEN libpq_channel"));
	PQclear(PQexec(speaker, "NOTIFY libpq_channel, 'heard'"));
	for (int tries = 0; !note && tries < 100; tries++)
	{
		fd_set readable;
		struct timeval patience = {0, 100000};

		FD_ZERO(&readable);
		FD_SET(PQsocket(listener), &readable);
		select(PQsocket(listener) + 1, &readable, NULL, NULL, &patience);
		PQconsumeInput(listener);
		note = PQnotifies(listener);
	}
	add("%s %s", note ? note->relname : "nothing", note ? note->extra : "");
	PQfreemem(note);
	tell("notify: heard");
	PQfinish(listener);
	PQfinish(speaker);
}

static void cancels(void)
{
	PGconn *connection = connected();
	PGcancel *cancel = PQgetCancel(connection);
	char why[256];

	PQsendQuery(connection, "SELECT pg_sleep(60)");
	PQflush(connection);
	/* The statement may not have begun: it is asked again. */
	while (PQconsumeInput(connection) && PQisBusy(connection))
	{
		fd_set readable;
		struct timeval patience = {0, 100000};

		PQcancel(cancel, why, sizeof why);
		FD_ZERO(&readable);
		FD_SET(PQsocket(connection), &readable);
		select(PQsocket(connection) + 1, &readable, NULL, NULL, &patience);
	}
	add_result(PQgetResult(connection));
	PQclear(PQgetResult(connection));
	tell("cancel: a statement that sleeps");
	PQfreeCancel(cancel);
	PQfinish(connection);
}

static void notice(void *unused, const PGresult *result)
{
	(void) unused;
	add("%s %s;", PQresultErrorField(result, PG_DIAG_SEVERITY), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static void notices(void)
{
	PGconn *connection = connected();

	PQsetNoticeReceiver(connection, notice, NULL);
	PQclear(PQexec(connection, "DO $$ BEGIN RAISE NOTICE 'noted'; RAISE WARNING 'warned'; END $$"));
	PQclear(PQexec(connection, "ROLLBACK"));
	PQclear(PQexec(connection, "DROP TABLE IF EXISTS never_there"));
	tell("notices");
	PQfinish(connection);
}

int main(void)
{
	parameters();
	statements();
	pipelines();
	copies();
	large_objects();
	notifications();
	cancels();
	notices();
	return 0;
}
