from django.conf import settings
from django.db import migrations, models
from django.utils import timezone


def end_those_that_go_back(apps, schema_editor):
    """A version that took over container by container used to end after its way back: the reason
    stood in `why`, and what had given all visitors back had an empty `serving`."""
    deployments = apps.get_model("deployments", "Deployment").objects
    rolled = deployments.filter(roll__isnull=False).defer("made_from", "variables")
    for row in rolled.filter(status__in=("failed", "cancelled")):
        row.roll.pop("serving", None)
        row.save(update_fields=["roll"])
    for row in rolled.filter(status="switching", roll__has_key="why"):
        row.failure = row.roll.pop("why")
        row.status, row.failed_stage, row.finished_at = "failed", "switching", timezone.now()
        if "switching" in row.stages:
            row.stages["switching"][1] = row.finished_at.timestamp()
        fields = ["roll", "failure", "status", "failed_stage", "finished_at", "stages"]
        row.save(update_fields=fields)


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0013_starts_app'),
        ('projects', '0014_start_requested'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name='deployment',
            index=models.Index(condition=models.Q(('roll__isnull', False)), fields=['status', 'app'], name='deployment_that_rolls'),
        ),
        migrations.RunPython(end_those_that_go_back, migrations.RunPython.noop),
    ]
