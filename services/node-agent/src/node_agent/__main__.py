"""The agent as a process."""

import sys

from node_agent.cli import app


def main() -> None:
    """Console script ``corral-agent``."""
    sys.exit(app())


if __name__ == "__main__":
    main()
