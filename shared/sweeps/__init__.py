"""Removing what nobody uses: one pass over all endpoints, what it remembers, what it records, what it has saved."""
