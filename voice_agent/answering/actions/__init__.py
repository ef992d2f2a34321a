"""What the agent may do on the company's systems: declared, checked, confirmed, and done once."""
