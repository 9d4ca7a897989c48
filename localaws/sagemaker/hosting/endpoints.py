"""Endpoints: the operations, each checked and recorded here and brought about in the background."""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, quotas, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import always, refuse
from localaws.sagemaker.hosting import async_configs, deployed_scaling, deployment_configs, serverless_configs
from localaws.sagemaker.hosting.async_configs import of_snapshot
from localaws.sagemaker.hosting.async_invocations import AsyncInvocations
from localaws.sagemaker.hosting.deployment_plans import extra_instances
from localaws.sagemaker.hosting.deployments import Deployments
from localaws.sagemaker.hosting.endpoint_documents import describe
from localaws.sagemaker.hosting.endpoint_records import ROLLBACK_FAILED, EndpointRecords
from localaws.sagemaker.hosting.invocation import Invoker
from localaws.sagemaker.hosting.invocation_metrics import FLUSH_SECONDS, SHORTEST_FLUSH_SECONDS, InvocationMetrics
from localaws.sagemaker.hosting.serverless_configs import has_serverless, is_serverless
from localaws.sagemaker.hosting.serving import Serving
from localaws.sagemaker.hosting.shifts import plan_of
from localaws.sagemaker.hosting.snapshots import (
    all_variants,
    counts_of,
    of_size,
    reweighted,
    snapshot,
    with_retained_properties,
)

_REFUSED_OF_VARIANT = {"ServerlessUpdateConfig": always}
# What of an endpoint's document has instances.
_PARTS = ("Deployed", "Pending")
_SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")


class Endpoints:
    """All endpoints of a server: the control plane is in `operations`, the data plane in `invoker`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = EndpointRecords(context)
        self._serving = Serving()
        flush = max(FLUSH_SECONDS / context.platform.clock_scale, SHORTEST_FLUSH_SECONDS)
        metrics = InvocationMetrics(context.platform, context.clock.now, flush, self._serving.instances)
        self._deployments = Deployments(context, self._records, self._serving, metrics)
        self.invoker = Invoker(self._records, self._serving, metrics, context.platform)
        self.async_invocations = AsyncInvocations(context, self._records, self._serving)
        context.lifecycle.on_recover += [self._deployments.recover, self.async_invocations.recover]
        context.lifecycle.on_close += [
            metrics.close,
            self._serving.close,
            self.async_invocations.close,
        ]  # called from the last to the first

    def operations(self) -> dict[str, Handler]:
        """Operation name to handler."""
        return {
            "CreateEndpoint": self.create,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.update_weights_and_capacities,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list_,
            "DeleteEndpoint": self.delete,
        }

    def create(self, request: Document, _caller: Caller) -> Document:
        """CreateEndpoint: checked, recorded as Creating, deployed in the background."""
        name, config = request["EndpointName"], request.get("DeploymentConfig")
        arn = self._records.arn_of_new(name)
        pending = snapshot(self._context, request["EndpointConfigName"])
        if config:
            serverless_configs.check_deployment(config, pending)
            deployment_configs.check(config, pending)
        self._require_instances(pending)
        self._records.create(name, arn, pending, tags.as_map(request.get("Tags")), config)
        self._deployments.deploy(name)
        return {"EndpointArn": arn}

    def update(self, request: Document, _caller: Caller) -> Document:
        """UpdateEndpoint: the new configuration is deployed beside the old one, which serves until it can take over."""
        name = request["EndpointName"]
        before = self._records.find_ready(name)
        _check_other_config(request["EndpointConfigName"], before)
        pending = self._next(request, before)
        deployed_scaling.check_update(self._context.platform, before, pending)
        old, new = counts_of(before["Deployed"]), counts_of(pending)
        self._require_instances(of_size(pending, extra_instances(plan_of(before["Deployed"], pending), old, new)))
        arn = self._records.begin_update(name, pending)
        self._deployments.deploy(name)
        return {"EndpointArn": arn}

    def _next(self, request: Document, before: Document) -> Document:
        """The snapshot of what an update asks for, with how it is to be deployed. ValidationException."""
        pending = snapshot(self._context, request["EndpointConfigName"])
        serverless_configs.check_update(before["Deployed"], pending)
        async_configs.check_update(request["EndpointName"], before["Deployed"], pending)
        if request.get("RetainAllVariantProperties"):
            excluded = {item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])}
            pending = with_retained_properties(pending, before["Deployed"], excluded)
        config = deployment_configs.in_force(request, before.get("LastDeploymentConfig"))
        if not config:
            return pending
        serverless_configs.check_deployment(config, pending)
        deployment_configs.check_variants(before["Deployed"], pending)
        deployment_configs.check(config, pending)
        return pending | {"DeploymentConfig": config}

    def _require_instances(self, pending: Document) -> None:
        """An update runs beside what it replaces, and needs instances of its own for that time."""
        deployed = [document[part] for document in self._records.all() for part in _PARTS if document.get(part)]
        quotas.require(self._context.quotas, _uses(pending), (use for part in deployed for use in _uses(part)))

    def update_weights_and_capacities(self, request: Document, _caller: Caller) -> Document:
        """UpdateEndpointWeightsAndCapacities: other shares and instance counts of the variants that are deployed."""
        name = request["EndpointName"]
        before = self._records.find_ready(name)
        if has_serverless(before["Deployed"]):
            raise errors.not_supported("UpdateEndpointWeightsAndCapacities of a serverless endpoint")
        for wanted in request["DesiredWeightsAndCapacities"]:
            refuse(wanted, _REFUSED_OF_VARIANT, of=f"production variant {wanted['VariantName']}")
            if wanted.get("DesiredInstanceCount") == 0 and of_snapshot(before["Deployed"]) is None:
                raise errors.not_supported("DesiredInstanceCount=0; managed instance scaling isn't here")
        if before["EndpointStatus"] == ROLLBACK_FAILED:
            raise errors.validation(
                f'Cannot update the weights and capacities of endpoint "{before["EndpointArn"]}": its status is '
                f"{ROLLBACK_FAILED}. UpdateEndpoint returns it to a healthy state."
            )
        pending = reweighted(before["Deployed"], request["DesiredWeightsAndCapacities"])
        arn = self._records.begin_update(name, pending)
        self._deployments.rescale(name)
        return {"EndpointArn": arn}

    def describe(self, request: Document, _caller: Caller) -> Document:
        """DescribeEndpoint."""
        document = self._records.find(request["EndpointName"])
        serving = self._serving.get(request["EndpointName"])
        return describe(document, serving.instance_counts() if serving else {})

    def list_(self, request: Document, _caller: Caller) -> Document:
        """ListEndpoints."""
        found, more = page(request, self._records.all(), name="EndpointName", status="EndpointStatus")
        return {"Endpoints": [summary(document, _SUMMARY) for document in found], **more}

    def delete(self, request: Document, caller: Caller) -> Document:
        """DeleteEndpoint: answers at once; the endpoint is gone when its requests are answered."""
        name = request["EndpointName"]
        self._records.find_settled(name)
        deployed_scaling.stop(self._context.platform, caller, name)
        self._records.begin_deleting(name)
        self._deployments.remove(name)
        return {}


def _check_other_config(config: str, before: Document) -> None:
    """Refuses an update to the config that is in use: its name tells, whatever is behind it meanwhile.

    An endpoint that serves with a mix of two configs is on neither alone: back to the old one is its way out.
    """
    if config == before["EndpointConfigName"] and before["EndpointStatus"] != ROLLBACK_FAILED:
        raise errors.validation(f'Cannot update endpoint with the currently in use endpoint configuration "{config}"')


def _uses(snapshot_: Document) -> list[Use]:
    """The instances that a deployment of a snapshot takes."""
    return [
        Use(quotas.ENDPOINT, variant["InstanceType"], variant["InstanceCount"])
        for variant in all_variants(snapshot_)
        if not is_serverless(variant)
    ]
