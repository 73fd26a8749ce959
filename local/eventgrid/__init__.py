"""Event Grid on this machine: topics, subscriptions, delivery with retries and dead letters, and a blob watcher.

`broker` accepts events, `delivery` brings them to their subscribers, `watcher` makes events of uploads to Azurite.
Everything that must outlive the process is in one SQLite file (`store`).
"""
