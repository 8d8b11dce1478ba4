"""What leaves this server for people: one small module for each way."""
