"""The event-pusher as a process."""

from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.service import main as run
from event_pusher.app import NAME, build
from event_pusher.config import Settings


def _bus(settings: Settings) -> Bus:
    return AmqpBus(settings.rabbitmq_url, SystemClock())


def main() -> None:
    """Console script ``corral-event-pusher``."""
    run(NAME, Settings, build, _bus)


if __name__ == "__main__":
    main()
