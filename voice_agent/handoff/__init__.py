"""When a person should answer, and with what brief."""
