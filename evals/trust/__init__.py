"""What `voice-agent eval trust` measures: is what the agent says supported, safe and allowed?

Each part is a module with ``run(data, settings, tell) -> Part``; ``parts.PARTS`` lists them.
"""
