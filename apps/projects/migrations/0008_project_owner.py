import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def from_creator(apps, schema_editor):
    project = apps.get_model("projects", "Project")
    admins = project.objects.filter(created_by__role__in=("admin", "owner"))
    admins.update(owner=models.F("created_by"))


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0007_memberships'),
        ('accounts', '0003_roles'),
    ]

    operations = [
        migrations.AddField(
            model_name='project',
            name='owner',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='owned_projects', to=settings.AUTH_USER_MODEL),
        ),
        migrations.RunPython(from_creator, migrations.RunPython.noop),
    ]
