"""What services tell each other and what webhooks get: AsyncAPI 3, made from the contracts."""
