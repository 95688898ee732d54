"""What requests carry, for the API's description: ``domain`` reads it leniently, field by field."""
