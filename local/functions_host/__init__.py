"""Runs `function_app.py` on this machine as the Azure Functions host would.

Layers: `gateway` turns a call into an answer without any socket; `server` puts it behind HTTP;
`host` is the life cycle.
What differs from the real host is listed in `local/README.md`.
"""
