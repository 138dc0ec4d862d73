"""A read-only server: pages for a marketing team, and an HTTP API."""
