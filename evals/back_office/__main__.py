"""``python -m evals.back_office``: run the sample back office until it is stopped."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aiohttp import web

from evals.back_office.database import OfficeDatabase
from evals.back_office.service import BackOffice


def main() -> None:
    """Listen on loopback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8095)
    parser.add_argument("--database", type=Path, help="SQLite file; without: kept in memory")
    arguments = parser.parse_args()
    office = BackOffice(
        OfficeDatabase(arguments.database),
        token=os.environ.get("VOICE_AGENT_BACK_OFFICE_TOKEN", ""),
        webhook_secret=os.environ.get("VOICE_AGENT_WEBHOOK_SECRET", ""),
    )
    web.run_app(office.app, host="127.0.0.1", port=arguments.port, print=None)


if __name__ == "__main__":
    main()
