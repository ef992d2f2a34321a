"""The gateway: owns every leg of every call, from ring to hang-up.

It knows nothing of speech or language and never imports ``voice_agent``.
"""
