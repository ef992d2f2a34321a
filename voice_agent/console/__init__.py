"""The supervisors' console: sign-in, roles, live calls, history, grading, boards, audit.

A process of its own that reads the records and speaks to the gateway's control interface.
"""
