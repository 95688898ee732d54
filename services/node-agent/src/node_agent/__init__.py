"""Runs VMs on one host, and reports what is really there."""
