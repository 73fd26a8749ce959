"""Ask Azure what the GPU machines of shared/prices.json cost today, and write the file again.

    python tools/refresh_prices.py [--region eastus]

The Azure Retail Prices API needs no account. It answers with every meter of a VM size: Windows, Spot, low priority and
reservations stand beside the one that counts here, pay as you go on Linux. A size for which that one is not found, or
is found with two prices, keeps its old row, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PRICES = Path(__file__).resolve().parent.parent / "shared" / "prices.json"
HOST = "prices.azure.com"
API = f"https://{HOST}/api/retail/prices"
TIMEOUT_S = 30
MOST_PAGES = 20

Meter = dict[str, Any]
Ask = Callable[[str], dict[str, Any]]


class PriceError(Exception):
    """The meters of a size do not tell its price; the message says why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--region", help="Azure region, such as westeurope; the file's own when it is not given")
    arguments = parser.parse_args()
    table = json.loads(PRICES.read_text("utf-8"))
    today = datetime.now(UTC).date().isoformat()
    faults = refresh(table, arguments.region or table["region"], today, ask)
    for fault in faults:
        print(fault, file=sys.stderr)
    if table["region"] != (arguments.region or table["region"]):
        # The rows that stayed are another region's: a table of two regions would be read wrongly.
        print("nothing was written: not every size has a price in that region", file=sys.stderr)
        return 1
    PRICES.write_text(written(table), "utf-8")
    return 1 if faults else 0


def refresh(table: dict[str, Any], region: str, today: str, ask: Ask) -> list[str]:
    """Put today's prices into a table; the region only when every size has one there. Returns: what went wrong."""
    faults = []
    rows = {name: dict(row) for name, row in table["sizes"].items()}
    for name, row in rows.items():
        try:
            price = linux_price(meters(name, region, ask), name, region)
        except (PriceError, OSError, ValueError) as fault:
            faults.append(f"{name} in {region}: {fault}")
            continue
        row.update(usd_per_hour=price, as_of=today, source="api")
    if region == table["region"] or not faults:
        table.update(region=region, sizes=rows)
    return faults


def meters(size: str, region: str, ask: Ask) -> Iterator[Meter]:
    """All meters of a VM size in a region, page after page."""
    wanted = f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}' and armSkuName eq '{size}'"
    link: str | None = f"{API}?{urllib.parse.urlencode({'$filter': wanted})}"
    for _ in range(MOST_PAGES):
        if not link:
            return
        page = ask(link)
        yield from page["Items"]
        link = page.get("NextPageLink")
    raise PriceError(f"the API gave more than {MOST_PAGES} pages")


def linux_price(found: Iterable[Meter], size: str, region: str) -> float:
    """The price of an hour, pay as you go, Linux. Raises: PriceError: none, or more than one."""
    prices = {float(meter["retailPrice"]) for meter in found if is_pay_as_you_go_linux(meter, size, region)}
    if len(prices) != 1:
        what = "no price" if not prices else f"several prices ({', '.join(map(str, sorted(prices)))})"
        raise PriceError(f"{what} for pay as you go on Linux")
    return prices.pop()


def is_pay_as_you_go_linux(meter: Meter, size: str, region: str) -> bool:
    """Tell the meter that counts from the others. Windows has the same meter name and differs in the product's."""
    product = str(meter.get("productName", ""))
    names = f"{meter.get('skuName', '')} {meter.get('meterName', '')}"
    return (
        meter.get("armSkuName") == size
        and meter.get("armRegionName") == region
        and meter.get("type") == "Consumption"
        and meter.get("currencyCode") == "USD"
        and meter.get("unitOfMeasure") == "1 Hour"
        and not product.endswith(("Windows", " Win"))
        and "CloudServices" not in product.replace(" ", "")
        and not any(word in names for word in ("Spot", "Low Priority"))
        and float(meter.get("retailPrice", 0)) > 0
    )


def ask(link: str) -> dict[str, Any]:
    """Fetch a page; only from the API's own host, whatever the last page's link says."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme != "https" or parts.hostname != HOST:
        raise PriceError(f"the next page is not on https://{HOST}")
    with urllib.request.urlopen(link, timeout=TIMEOUT_S) as answer:
        page = json.load(answer)
    if not isinstance(page, dict) or not isinstance(page.get("Items"), list):
        raise PriceError("the answer is no list of prices")
    return page


def written(table: dict[str, Any]) -> str:
    """The file's text: one size on each line, so that a difference shows what became dearer."""
    rows = [f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in table["sizes"].items()]
    rest = {key: value for key, value in table.items() if key != "sizes"}
    head = json.dumps(rest, indent=2, ensure_ascii=False).removesuffix("\n}")
    return head + ',\n  "sizes": {\n' + ",\n".join(rows) + "\n  }\n}\n"


if __name__ == "__main__":
    sys.exit(main())
