"""Faults on request: STATE/faults.json says what is to go wrong in the local Azure, as it does in Azure.

`rules` are what can be asked for, `book` reads the file and counts, `layer` spoils HTTP requests, `host` ends the
Functions host, `scenarios` are whole stories, `command` is `python -m local faults`. Nothing here knows who asks.
"""
