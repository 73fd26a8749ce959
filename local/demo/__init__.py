"""The whole story on this machine, told while it happens: from a dropped dataset to the endpoint's removal."""

from local.demo.play import play

__all__ = ["play"]
