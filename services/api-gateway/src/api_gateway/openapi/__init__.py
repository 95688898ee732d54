"""The API's description, OpenAPI 3.1, made from what each route says of itself."""
