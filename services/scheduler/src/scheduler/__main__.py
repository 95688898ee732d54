"""Run the scheduler as a process."""

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from chassis.service import main as run
from scheduler.app import build
from scheduler.config import SchedulerSettings


def main() -> None:
    """Read settings from the environment, serve until a signal."""
    run("scheduler", SchedulerSettings, build, lambda s: AmqpBus(s.rabbitmq_url, SystemClock()))


if __name__ == "__main__":
    main()
