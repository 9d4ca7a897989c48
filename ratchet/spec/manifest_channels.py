"""The channels of CreateTrainingJob for one of `data` with an augmented manifest, by its mode (InputDataConfig).

In Pipe mode it is one channel, which SageMaker streams. "Augmented manifests can only support Pipe input mode", and
FastFile takes an S3Prefix alone (developer guide, "Augmented Manifest Files for Training Jobs" and "How Amazon
SageMaker AI Provides Training Information"): otherwise the objects are one channel, and the manifest another.
"""

from __future__ import annotations

from typing import Any

from contract.manifests import manifest_channel
from ratchet.spec.manifest import FILE, MODES, Manifest

Document = dict[str, Any]


def manifest_channels(
    name: str, manifest: Manifest, *, uri: str, objects: str, data_type: str = "ManifestFile"
) -> list[Document]:
    """
    Args:
        uri: the manifest's.
        objects, data_type: that of what it points to, a manifest of SageMaker's or a prefix, and which of the two.
    """
    if manifest.is_piped:
        source = {**_source("AugmentedManifestFile", uri), "AttributeNames": list(manifest.attributes)}
        shuffled = {} if manifest.shuffle is None else {"ShuffleConfig": {"Seed": manifest.shuffle}}
        return [{**_channel(name, manifest.input_mode, source), "RecordWrapperType": "RecordIO", **shuffled}]
    own = _channel(manifest_channel(name), MODES[FILE], _source("S3Prefix", uri))
    if manifest.objects is None:
        return [own]
    return [_channel(name, manifest.input_mode, _source(data_type, objects)), own]


def _source(data_type: str, uri: str) -> Document:
    return {"S3DataType": data_type, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}


def _channel(name: str, mode: str, source: Document) -> Document:
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}}
