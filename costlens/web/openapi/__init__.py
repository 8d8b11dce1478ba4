"""The API described: every route with what it takes and answers, as an OpenAPI document and as pages."""
