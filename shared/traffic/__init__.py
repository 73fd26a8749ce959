"""Who uses an endpoint: requests by the minute from Azure Monitor, without those that this app makes itself."""

from shared.traffic.batch import Traffic
from shared.traffic.readings import Asked, OwnRequest, Reading, Unread

__all__ = ["Asked", "OwnRequest", "Reading", "Traffic", "Unread"]
