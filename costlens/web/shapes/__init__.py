"""What the API answers, as types: the handlers fill them in, and the OpenAPI document is made of them."""
