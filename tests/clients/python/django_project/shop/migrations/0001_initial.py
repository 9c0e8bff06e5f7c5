"""As `makemigrations` writes it."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(name="Customer", fields=[
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("name", models.CharField(max_length=80, unique=True)),
            ("tags", models.JSONField(default=dict)),
        ]),
        migrations.CreateModel(name="Label", fields=[
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("text", models.SlugField()),
        ]),
        migrations.CreateModel(name="Order", fields=[
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("total", models.DecimalField(decimal_places=2, default=0, max_digits=10)),
            ("key", models.UUIDField(default=uuid.uuid4, unique=True)),
            ("customer", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="orders", to="shop.customer")),
            ("labels", models.ManyToManyField(to="shop.label")),
        ]),
    ]
