from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("accounts", "0004_invitations")]

    operations = [
        migrations.CreateModel(
            name="Allowance",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("full_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
