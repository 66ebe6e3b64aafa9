"""Where people see an issue: the address of its page in Datadog."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flakegate.backends.datadog.access import SITES

_BARE = 2  # parts of a site's name that has no region: its pages are on `app.`


def page(api_url: str, issue_id: str) -> str | None:
    """The page of an issue; None where the API is at an address that tells nothing of pages."""
    site = (urlsplit(api_url).hostname or "").removeprefix("api.")
    if site not in SITES:
        return None
    host = f"app.{site}" if len(site.split(".")) == _BARE else site
    return f"https://{host}/error-tracking/issue/{quote(issue_id, safe='')}"
