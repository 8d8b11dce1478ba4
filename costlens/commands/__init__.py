"""The commands of `costlens`, one module for each kind of work."""
