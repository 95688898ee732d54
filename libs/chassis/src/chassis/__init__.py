"""What every service runs on: life-cycle, settings, clock, errors, web, telemetry, bus, store."""
