from django.db import migrations, models

AT_REST = ("live", "retired", "failed", "cancelled", "skipped")


def keep_what_was_asked_for(apps, schema_editor):
    """What waits, or is at work, starts an app that is stopped, as it did until now. What Mist asks
    for by itself does not."""
    deployments = apps.get_model("deployments", "Deployment").objects
    asked = deployments.exclude(status__in=AT_REST).exclude(trigger="repair")
    asked.filter(app__wanted="stopped").update(starts_app=True)


class Migration(migrations.Migration):
    dependencies = [
        ("deployments", "0012_roll"),
    ]

    operations = [
        migrations.AddField(
            model_name="deployment",
            name="starts_app",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(keep_what_was_asked_for, migrations.RunPython.noop),
    ]
