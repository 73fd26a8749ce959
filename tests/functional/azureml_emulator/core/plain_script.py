"""What a user would write: nothing here knows of an emulator. The environment leads it there.

Argument: a folder with a model. Prints one JSON line for the test that runs it.
"""

import json
import sys
from pathlib import Path

from azure.ai.ml import MLClient
from azure.ai.ml.entities import AmlCompute, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model
from azure.identity import DefaultAzureCredential

SUBSCRIPTION, GROUP, WORKSPACE = "00000000-0000-0000-0000-00000000f17e", "finetune-local", "finetune-local"
folder = Path(sys.argv[1])

registry = MLClient(DefaultAzureCredential(), registry_name="azureml")
foundation_model = registry.models.get("Phi-4", label="latest")
component = registry.components.get("chat_completion_pipeline", label="latest")

client = MLClient(DefaultAzureCredential(), SUBSCRIPTION, GROUP, WORKSPACE)
cluster = client.compute.begin_create_or_update(AmlCompute(name="ft", size="Standard_NC24ads_A100_v4")).result()
model = client.models.create_or_update(Model(name="plain", version="1", path=str(folder), type="mlflow_model"))
client.begin_create_or_update(ManagedOnlineEndpoint(name="plain-one", auth_mode="key")).result()
client.begin_create_or_update(
    ManagedOnlineDeployment(
        name="blue", endpoint_name="plain-one", model=model.id, instance_type="Standard_F4s_v2", instance_count=1
    )
).result()
endpoint = client.online_endpoints.get("plain-one")
endpoint.traffic = {"blue": 100}
client.begin_create_or_update(endpoint).result()
request = folder / "request.json"
request.write_text('{"input_data": {"input_string": []}}')
answer = json.loads(client.online_endpoints.invoke("plain-one", request_file=str(request)))
client.online_endpoints.begin_delete("plain-one").result()

found = {
    "model": foundation_model.id,
    "component": component.id,
    "cluster": cluster.size,
    "answer": answer["output"],
    "endpoints": [left.name for left in client.online_endpoints.list()],
}
# The SDK prints dots while it waits, without a line end.
print("\n" + json.dumps(found))
