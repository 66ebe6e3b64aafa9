"""A small shop: what the quickstart's tests are about."""
