"""The gateway as a process of its own."""

from api_gateway.app import build
from api_gateway.config import Settings
from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.service import main as run


def _bus(settings: Settings) -> Bus:
    return AmqpBus(settings.rabbitmq_url, SystemClock())


def main() -> None:
    """Entry point of ``corral-gateway``."""
    run("gateway", Settings, build, _bus)


if __name__ == "__main__":
    main()
