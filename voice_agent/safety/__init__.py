"""What may be said: every clause is checked against its sources before it is spoken."""
