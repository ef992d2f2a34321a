"""The agent: one pipeline a call, reached over one media stream. Read ``pipeline.py`` first."""

import sys

from voice_agent.urgent import go_first

go_first(sys.argv)
