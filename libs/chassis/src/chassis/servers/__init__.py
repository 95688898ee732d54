"""Private servers: a real mongod and a real RabbitMQ as children, on loopback, for one process."""

from chassis.servers.mongod import MongoServer
from chassis.servers.process import MissingServer
from chassis.servers.rabbitmq import RabbitServer

__all__ = ["MissingServer", "MongoServer", "RabbitServer"]
