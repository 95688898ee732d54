"""Owns the event log, and delivers it to webhooks."""
