"""The agent: one pipeline a call, reached over one media stream. Read ``pipeline.py`` first."""
