"""Pure rules of the field: no framework, no input or output."""
