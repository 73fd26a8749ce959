"""When an endpoint is idle, and what is to be done about it. Pure: figures, tags and the time come in."""
