import json
from pathlib import Path

from local.demo.prices import USD_PER_HOUR_HERE, phi4

ROOT = Path(__file__).resolve().parents[4]


def test_phi4_is_priced_on_the_smallest_machine_that_its_registry_allows() -> None:
    price = phi4()
    assert (price.size, price.usd_per_hour, price.region) == ("Standard_NC24ads_A100_v4", 3.673, "eastus")


def test_the_price_given_to_the_app_is_of_a_size_that_the_demos_model_may_have() -> None:
    (entry,) = (ROOT / "local/azureml/catalog/models").glob("SmolLM2-*.json")
    allowed = json.loads(entry.read_text("utf-8"))["properties"]["inference-recommended-sku"].split(", ")
    assert set(USD_PER_HOUR_HERE) <= set(allowed)
