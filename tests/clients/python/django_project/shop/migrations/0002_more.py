"""Changes tables, and data within the same transaction."""

from django.db import migrations, models


def fill(apps, _):
    apps.get_model("shop", "Label").objects.create(text="from-a-migration")


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("customer", "joined", models.DateTimeField(null=True)),
        migrations.AddField("order", "paid", models.BooleanField(default=False)),
        migrations.AddIndex("customer", models.Index(fields=["joined"], name="shop_joined")),
        migrations.AddConstraint("order", models.CheckConstraint(condition=models.Q(total__gte=0), name="shop_total")),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunSQL("UPDATE shop_label SET text = text || '-changed'", "SELECT 1"),
    ]
