"""The company's documents as passages, and finding the right ones."""
