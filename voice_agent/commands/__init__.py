"""Commands of the command line that have subcommands of their own, and what they share."""
