"""The registry as a process."""

from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.service import main as run
from registry.app import build
from registry.config import Settings


def _bus(settings: Settings) -> Bus:
    return AmqpBus(settings.rabbitmq_url, SystemClock())


def main() -> None:
    """Run until a signal."""
    run("corral-registry", Settings, build, _bus)


if __name__ == "__main__":
    main()
