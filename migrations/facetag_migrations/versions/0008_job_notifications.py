"""A notification on `facetag_job_changed`, with the job's id, whenever a job's progress changes.

Code of before this migration works on: nobody has to listen.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION notify_job_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('facetag_job_changed', NEW.id::text);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER jobs_changed
        AFTER UPDATE OF state, total, queued, running, tagged, no_face, failed, cancelled, error,
            finished_at
        ON jobs FOR EACH ROW EXECUTE FUNCTION notify_job_changed()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER jobs_changed ON jobs")
    op.execute("DROP FUNCTION notify_job_changed()")
