"""The options that the commands of the server share."""

from __future__ import annotations

import click

store = click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="The store.  [env: FLAKEGATE_STORE; default: sqlite:///.flakegate/history.db]",
)
