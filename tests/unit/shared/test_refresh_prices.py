"""Reading Azure's price list: the one meter that counts among those that look like it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

import pytest

from shared.costs.machines import PriceTable
from tools.refresh_prices import PRICES, PriceError, ask, linux_price, refresh, written

SIZE = "Standard_NC24ads_A100_v4"


def meter(price: float = 3.673, **other: Any) -> dict[str, Any]:
    """A meter in the form of the API's documented answer."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "eastus",
        "location": "US East",
        "effectiveStartDate": "2022-05-01T00:00:00Z",
        "meterId": "00000000-0000-0000-0000-000000000000",
        "meterName": "NC24ads A100 v4",
        "productName": "Virtual Machines NCads A100 v4 Series",
        "skuName": "NC24ads A100 v4",
        "serviceName": "Virtual Machines",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": SIZE,
        **other,
    }


OTHERS = [
    meter(9.1, productName="Virtual Machines NCads A100 v4 Series Windows"),
    meter(9.2, productName="Virtual Machines NCads A100 v4 Srs Win"),
    meter(0.4, meterName="NC24ads A100 v4 Spot", skuName="NC24ads A100 v4 Spot"),
    meter(0.7, meterName="NC24ads A100 v4 Low Priority", skuName="NC24ads A100 v4 Low Priority"),
    meter(20_000.0, type="Reservation", reservationTerm="1 Year"),
    meter(3.0, type="DevTestConsumption"),
    meter(4.15, armRegionName="centralus"),
    meter(7.346, armSkuName="Standard_NC48ads_A100_v4"),
    meter(3.4, currencyCode="EUR"),
    meter(0.0),
]


def test_the_price_is_that_of_linux_pay_as_you_go() -> None:
    assert linux_price([*OTHERS, meter(), meter()], SIZE, "eastus") == 3.673


def test_no_price_and_several_prices_are_refused() -> None:
    with pytest.raises(PriceError, match="no price"):
        linux_price(OTHERS, SIZE, "eastus")
    with pytest.raises(PriceError, match=r"several prices \(3.673, 3.9\)"):
        linux_price([meter(), meter(3.9)], SIZE, "eastus")


def table() -> dict[str, Any]:
    row = {
        "gpu": "A100-80GB",
        "gpus": 1,
        "memory_gib": 220,
        "usd_per_hour": 1.0,
        "as_of": "2020-01-01",
        "source": "copies",
    }
    gone = {**row, "usd_per_hour": 2.0}
    return {"about": ["…"], "region": "eastus", "currency": "USD", "sizes": {SIZE: row, "Standard_Gone": gone}}


def pages(link: str) -> dict[str, Any]:
    """The API: the first page holds meters that do not count, the second the one that does."""
    if "skip" in link:
        return {"Items": [meter()], "NextPageLink": None}
    if SIZE in unquote_plus(link):
        return {"Items": OTHERS, "NextPageLink": "https://prices.azure.com:443/api/retail/prices?$skip=1000"}
    return {"Items": [], "NextPageLink": None}


def test_a_table_gets_todays_prices_and_keeps_what_is_not_found() -> None:
    prices = table()
    faults = refresh(prices, "eastus", "2027-01-02", pages)
    assert prices["sizes"][SIZE] == {
        **table()["sizes"][SIZE],
        "usd_per_hour": 3.673,
        "as_of": "2027-01-02",
        "source": "api",
    }
    assert prices["sizes"]["Standard_Gone"] == table()["sizes"]["Standard_Gone"]
    assert faults == ["Standard_Gone in eastus: no price for pay as you go on Linux"]


def test_a_table_never_holds_the_prices_of_two_regions() -> None:
    prices = table()
    faults = refresh(prices, "centralus", "2027-01-02", lambda _: {"Items": [meter(4.15, armRegionName="centralus")]})
    assert len(faults) == 1
    assert prices == table()


def test_a_link_to_another_host_is_not_followed() -> None:
    for link in ("https://prices.azure.com.evil.example/x", "http://prices.azure.com/x", "file:///etc/passwd"):
        with pytest.raises(PriceError, match="not on https"):
            ask(link)


def test_endless_pages_end() -> None:
    faults = refresh(table(), "eastus", "2027-01-02", lambda link: {"Items": [], "NextPageLink": link})
    assert all("more than 20 pages" in fault for fault in faults)


def test_the_file_is_written_as_it_lies_there() -> None:
    text = PRICES.read_text("utf-8")
    assert written(json.loads(text)) == text
    import msgspec

    msgspec.json.decode(text, type=PriceTable)
