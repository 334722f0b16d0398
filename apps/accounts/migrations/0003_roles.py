from django.db import migrations, models


def from_flags(apps, schema_editor):
    user = apps.get_model("accounts", "User")
    user.objects.filter(is_staff=True).update(role="admin")
    user.objects.filter(is_superuser=True).update(role="owner")


def to_flags(apps, schema_editor):
    user = apps.get_model("accounts", "User")
    user.objects.exclude(role="member").update(is_staff=True)
    user.objects.filter(role="owner").update(is_superuser=True)


class Migration(migrations.Migration):

    dependencies = [("accounts", "0002_user_shortcuts")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="role",
            field=models.CharField(
                choices=[("member", "Member"), ("admin", "Admin"), ("owner", "Owner")],
                default="member",
                max_length=10,
            ),
        ),
        migrations.RunPython(from_flags, to_flags),
        migrations.RemoveField(model_name="user", name="groups"),
        migrations.RemoveField(model_name="user", name="user_permissions"),
        migrations.RemoveField(model_name="user", name="is_staff"),
        migrations.RemoveField(model_name="user", name="is_superuser"),
    ]
