"""What a request means, without any input or output."""
