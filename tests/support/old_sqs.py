"""The model of SQS as clients had it before they spoke JSON: today's, with the names of the query protocol put back."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import botocore

_LISTS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "TagKeyList": "TagKey",
}
_MAPS = {
    "MessageBodyAttributeMap": ("Name", "Value"),
    "MessageBodySystemAttributeMap": ("Name", "Value"),
    "MessageSystemAttributeMap": ("Name", "Value"),
    "QueueAttributeMap": ("Name", "Value"),
    "TagMap": ("Key", "Value"),
}
_MEMBERS = {"Attributes": "Attribute", "MessageAttributes": "MessageAttribute", "tags": "Tag"}
_MEMBERS |= {"MessageSystemAttributes": "MessageSystemAttribute"}


def write_old_model(folder: Path) -> None:
    """As a folder for botocore's `data_path`."""
    source = Path(botocore.__file__).parent / "data/sqs/2012-11-05/service-2.json.gz"
    model: dict[str, Any] = copy.deepcopy(json.loads(gzip.decompress(source.read_bytes())))
    metadata = model["metadata"]
    for name in ("awsQueryCompatible", "targetPrefix", "jsonVersion"):
        metadata.pop(name)
    metadata |= {"protocol": "query", "protocols": ["query"]}
    metadata["xmlNamespace"] = "http://queue.amazonaws.com/doc/2012-11-05/"
    shapes = model["shapes"]
    for name, element in _LISTS.items():
        shapes[name]["member"]["locationName"] = element
    for name, (key, value) in _MAPS.items():
        shapes[name]["key"]["locationName"] = key
        shapes[name]["value"]["locationName"] = value
    for shape in shapes.values():
        for name, member in shape.get("members", {}).items():
            if name in _MEMBERS:
                member["locationName"] = _MEMBERS[name]
    shapes["ListQueueTagsResult"]["members"]["Tags"]["locationName"] = "Tag"
    for name, operation in model["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = f"{name}Result"
    target = folder / "sqs/2012-11-05"
    target.mkdir(parents=True)
    (target / "service-2.json").write_text(json.dumps(model))
