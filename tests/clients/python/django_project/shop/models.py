"""The models of django_client: tables of the default shard, and two sharded ones that Django does not manage."""

import uuid

from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=80, unique=True)
    tags = models.JSONField(default=dict)
    joined = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["joined"], name="shop_joined")]


class Order(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    paid = models.BooleanField(default=False)
    labels = models.ManyToManyField("Label")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(total__gte=0), name="shop_total")]


class Label(models.Model):
    text = models.SlugField()


class User(models.Model):
    user_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=255)
    email = models.CharField(max_length=255)
    latitude = models.FloatField()
    longitude = models.FloatField()
    region = models.CharField(max_length=50)
    rating = models.DecimalField(max_digits=3, decimal_places=2, default=5)
    total_rides = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        managed = False
        db_table = "users"


class Ride(models.Model):
    ride_id = models.UUIDField(primary_key=True)
    user_id = models.UUIDField()
    region = models.CharField(max_length=50)
    status = models.CharField(max_length=20)
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)

    class Meta:
        managed = False
        db_table = "rides"
