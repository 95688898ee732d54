"""What the scheduler decides, without any I/O."""
