"""What is true of events and their delivery, without any I/O."""
