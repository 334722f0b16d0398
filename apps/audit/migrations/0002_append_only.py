"""Triggers that keep everybody below the database from changing what the audit trail holds.

UPDATE is refused always. DELETE is refused but for events older than a moment that the transaction
itself names, which only `apps.audit.retention` does: on SQLite in the one row of audit_retention,
which it empties again before it commits (so nobody else ever sees it set), on PostgreSQL with
SET LOCAL. Replacing a row (INSERT OR REPLACE, which fires no DELETE trigger) is refused on SQLite,
TRUNCATE of a trail that holds something on PostgreSQL.

A later migration that makes SQLite build the table anew (AlterField and the like) takes the
triggers away with the old table: run `install` again after it. A test sees that they are there.
"""

from django.db import migrations, models

SQLITE = (
    "CREATE TABLE IF NOT EXISTS audit_retention ("
    " only integer PRIMARY KEY CHECK (only = 1), older_than text)",
    "INSERT OR IGNORE INTO audit_retention VALUES (1, NULL)",
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit_auditevent"
    " BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit_auditevent"
    " WHEN NOT EXISTS (SELECT 1 FROM audit_retention WHERE OLD.at < older_than)"
    " BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END",
    "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit_auditevent"
    " WHEN EXISTS (SELECT 1 FROM audit_auditevent WHERE id = NEW.id)"
    " BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END",
)
SQLITE_BACK = (
    "DROP TRIGGER IF EXISTS audit_no_update",
    "DROP TRIGGER IF EXISTS audit_no_delete",
    "DROP TRIGGER IF EXISTS audit_no_replace",
    "DROP TABLE IF EXISTS audit_retention",
)
POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION audit_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.at
            < nullif(current_setting('mist.audit_retention', true), '')::timestamptz THEN
            RETURN OLD;
        END IF;
        IF TG_OP = 'TRUNCATE' AND NOT EXISTS (SELECT 1 FROM audit_auditevent) THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the audit trail is only added to';
    END $$
    """,
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit_auditevent"
    " FOR EACH ROW EXECUTE FUNCTION audit_only_added()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_auditevent"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added()",
)
POSTGRESQL_BACK = (
    "DROP TRIGGER IF EXISTS audit_no_change ON audit_auditevent",
    "DROP TRIGGER IF EXISTS audit_no_truncate ON audit_auditevent",
    "DROP FUNCTION IF EXISTS audit_only_added()",
)


def install(apps, schema_editor):
    uninstall(apps, schema_editor)
    _run(schema_editor, SQLITE, POSTGRESQL)


def uninstall(apps, schema_editor):
    _run(schema_editor, SQLITE_BACK, POSTGRESQL_BACK)


def _run(schema_editor, sqlite, postgresql):
    vendor = schema_editor.connection.vendor
    for statement in {"sqlite": sqlite, "postgresql": postgresql}[vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ("audit", "0001_initial"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="auditevent",
            options={"ordering": ("-at", "-id")},
        ),
        migrations.RemoveIndex(model_name="auditevent", name="audit_by_project"),
        migrations.RemoveIndex(model_name="auditevent", name="audit_by_actor"),
        migrations.RemoveIndex(model_name="auditevent", name="audit_by_action"),
        migrations.RemoveIndex(model_name="auditevent", name="audit_by_thing"),
        migrations.RemoveIndex(model_name="auditevent", name="audit_by_time"),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["-at", "-id"], name="audit_by_time"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["project_id", "-at", "-id"], name="audit_by_project"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["actor_id", "-at", "-id"], name="audit_by_actor"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["actor_kind", "-at", "-id"], name="audit_by_kind"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["action", "-at", "-id"], name="audit_by_action"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                fields=["thing_type", "thing_id", "-at", "-id"], name="audit_by_thing"
            ),
        ),
        migrations.RunPython(install, uninstall),
    ]
