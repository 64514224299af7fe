import threading
import time

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from facetag.db.engine import make_engine, make_sessions, migrate, ping, read, transaction
from facetag.db.tables import Model
from facetag.errors import DatabaseTooNew, DatabaseUnavailable

pytestmark = pytest.mark.integration


def add_model(session, version):
    session.add(Model(tenant_id="local", version=version, state="candidate", manifest={}))


def test_a_transaction_commits_at_its_end_and_rolls_back_on_an_exception(sessions):
    with transaction(sessions) as session:
        add_model(session, "kept")

    def add_and_fail():
        with transaction(sessions) as session:
            add_model(session, "dropped")
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        add_and_fail()
    with transaction(sessions) as session:
        assert session.scalars(text("SELECT version FROM models")).all() == ["kept"]


def test_a_connection_lost_in_the_middle_is_a_database_that_is_unavailable(sessions):
    def lose_connection():
        with transaction(sessions) as session:
            kill_backend_of(session)
            session.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        lose_connection()
    with transaction(sessions) as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_a_transaction_that_idled_too_long_is_a_database_that_is_unavailable(sessions):
    def idle():
        with transaction(sessions) as session:
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '100ms'"))
            time.sleep(0.5)
            session.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        idle()


def test_a_pooled_connection_that_died_while_idle_is_replaced_unnoticed(sessions):
    with transaction(sessions) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        url = url_of(session)
    kill_backend(url, pid)
    with transaction(sessions) as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_a_lock_that_is_never_given_up_ends_as_a_busy_database(sessions):
    with transaction(sessions) as session:
        add_model(session, "held")
    with transaction(sessions) as holder:
        holder.execute(text("UPDATE models SET state = 'retired'"))
        with pytest.raises(DatabaseUnavailable, match="too busy"):
            update_impatiently(sessions)


def test_a_fault_of_our_own_is_not_mistaken_for_an_unavailable_database(sessions):
    with pytest.raises(IntegrityError), transaction(sessions) as session:
        session.execute(text("INSERT INTO models (tenant_id) VALUES ('local')"))


def test_an_error_tells_no_value_that_was_sent(sessions):
    with (
        pytest.raises(DBAPIError, match="division by zero") as caught,
        transaction(sessions) as one,
    ):
        one.execute(text("SELECT 1 / 0, CAST(:name AS text)"), {"name": "anna.jpg"})
    assert "anna" not in str(caught.value)


def test_too_few_connections_end_as_an_unavailable_database(settings):
    engine = make_engine(settings, pool_size=1)
    try:
        sessions = make_sessions(engine)
        with transaction(sessions) as one, transaction(sessions) as two:
            one.connection()
            two.connection()
            with pytest.raises(DatabaseUnavailable, match="busy"), transaction(sessions) as three:
                three.connection()
    finally:
        engine.dispose()


def test_ping_answers_and_complains_of_a_missing_database(settings):
    engine = make_engine(settings)
    ping(engine)
    engine.dispose()
    nowhere = settings.require("database_url") + "_missing"
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        ping(make_engine(settings.model_copy(update={"database_url": SecretStr(nowhere)})))


def test_a_database_without_tables_says_which_command_makes_them(empty_database, settings):
    engine = make_engine(settings.model_copy(update={"database_url": SecretStr(empty_database)}))
    with (
        pytest.raises(DatabaseUnavailable, match="facetag migrate"),
        transaction(make_sessions(engine)) as session,
    ):
        session.query(Model).all()
    engine.dispose()


def test_tables_of_a_later_version_are_left_alone(empty_database):
    migrate(empty_database)
    engine = create_engine(empty_database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match="revision 9999, which a later facetag"):
        migrate(empty_database)
    engine.dispose()


def test_several_migrations_at_once_make_the_tables_once(empty_database):
    faults = []

    def migrate_once():
        try:
            migrate(empty_database)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            faults.append(error)

    threads = [threading.Thread(target=migrate_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    engine = create_engine(empty_database.replace("postgresql://", "postgresql+psycopg://"))
    assert {"jobs", "images", "faces", "models"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def update_impatiently(sessions):
    with transaction(sessions) as session:
        session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        session.execute(text("UPDATE models SET state = 'retired'"))


def kill_backend_of(session):
    kill_backend(url_of(session), session.scalar(text("SELECT pg_backend_pid()")))


def url_of(session):
    url = session.get_bind().url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def kill_backend(url, pid):
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        # Terminating is asynchronous: wait until the backend is gone.
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
            pass


def test_a_read_outlives_the_connection_it_lost(settings):
    engine = make_engine(settings, pool_size=1, reads_only=True)
    sessions = make_sessions(engine)
    ask = text("SELECT pg_backend_pid()")
    first = read(sessions, lambda session: session.scalar(ask))
    assert read(sessions, lambda session: session.scalar(ask)) == first
    other = make_engine(settings)
    with other.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    assert read(sessions, lambda session: session.scalar(ask)) != first
    for used in (engine, other):
        used.dispose()


def test_a_read_without_a_database_says_so(settings):
    nowhere = settings.model_copy(
        update={"database_url": SecretStr("postgresql://u:p@127.0.0.1:1/none")}
    )
    sessions = make_sessions(make_engine(nowhere, reads_only=True))
    with pytest.raises(DatabaseUnavailable):
        read(sessions, lambda session: session.scalar(text("SELECT 1")))
