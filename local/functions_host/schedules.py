"""When a timer fires: NCRONTAB expressions (seconds first) and plain intervals. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from croniter import CroniterError, croniter

from local.functions_host.settings import timespan_s


class ScheduleError(ValueError):
    """The text is neither a cron expression nor a TimeSpan."""


@dataclass(frozen=True)
class Schedule:
    """One of the two is set. `after` is the only question one may ask."""

    cron: str | None = None
    every: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Parse six fields, five fields (no seconds), or `hh:mm:ss`. Raises: ScheduleError: it is none of them."""
        fields = text.split()
        if len(fields) == 5:
            fields = ["0", *fields]
        if len(fields) == 6 and _is_cron(" ".join(fields)):
            return cls(cron=" ".join(fields))
        seconds = timespan_s(text)
        if seconds:
            return cls(every=timedelta(seconds=seconds))
        raise ScheduleError(
            f"The schedule expression '{text}' was not recognized as a valid cron expression or timespan string."
        )

    def after(self, moment: datetime) -> datetime:
        """Return the first occurrence after an aware moment, in its time zone."""
        if self.every is not None:
            return moment + self.every
        # NCRONTAB wants day of month and day of week to hold both; classic cron would take either.
        following: datetime = _croniter(str(self.cron), moment).get_next(datetime)
        return following

    def is_too_frequent_to_monitor(self, moment: datetime) -> bool:
        """Tell whether occurrences are less than a minute apart: the host then keeps no status."""
        first = self.after(moment)
        return self.after(first) - first < timedelta(minutes=1)


def _is_cron(text: str) -> bool:
    if any(letter in text.upper().split() for letter in "LW?") or "#" in text:
        return False  # croniter knows these, NCRONTAB does not
    try:
        _croniter(text, None)
    except (CroniterError, ValueError):
        return False
    return True


def _croniter(text: str, moment: datetime | None) -> croniter:
    return croniter(text, moment, ret_type=datetime, day_or=False, second_at_beginning=True)
