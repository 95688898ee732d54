"""Orders to nodes, made from what an instance's document says; so they can be made again."""

from datetime import datetime, timedelta

import msgspec

from contracts.configuration import as_the_services_were_set
from contracts.images import PushImage
from contracts.nodes import ConfigureAgent, UpgradeAgent
from contracts.scripts import RunScript
from contracts.vms import Overrides, RebootVm, RunVm, StopVm
from scheduler.domain.image_request import ImageRequest
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Limits
from scheduler.domain.node import Node


class Orders:
    """Orders of one leader: all carry its ``epoch`` and a deadline.

    ``configuration``: what operators set for the whole cloud.
    """

    def __init__(self, limits: Limits, cloud_id: str, epoch: int) -> None:
        self._limits = limits
        self._cloud_id = cloud_id
        self._epoch = epoch
        self.configuration = as_the_services_were_set()

    def run(self, instance: Instance, now: datetime) -> RunVm:
        """Have the instance's attempt running."""
        spec, status = instance.spec, instance.status
        return RunVm(
            node_id=status.node_id,
            queue=status.queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            attempt=status.attempt,
            instance_id=instance.id,
            valid_until=instance.valid_until or self._valid_until(now),
            validity=self._limits.validity,
            cloud_id=self._cloud_id,
            registry=spec.registry,
            template=spec.template,
            name_template=spec.name_template,
            script=spec.script,
            overrides=_with_address(spec.overrides, status.mac_address),
            request_id=spec.start_request_id,
            trace=spec.trace,
        )

    def stop(
        self, instance_id: str, attempt: int, node_id: str, queue: str, now: datetime
    ) -> StopVm:
        """Have no VM of this instance up to this attempt on that node."""
        return StopVm(
            node_id=node_id,
            queue=queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            attempt=attempt,
            instance_id=instance_id,
        )

    def reboot(self, instance: Instance, now: datetime) -> RebootVm:
        """Carry out the newest wished restart."""
        status = instance.status
        return RebootVm(
            node_id=status.node_id,
            queue=status.queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            attempt=status.attempt,
            instance_id=instance.id,
            number=instance.spec.restarts,
            vnc_password=instance.spec.overrides.vnc_password,
            usb_device=instance.spec.overrides.usb_device,
        )

    def script(self, instance: Instance, now: datetime) -> RunScript:
        """Run the startup script that a claim has brought."""
        spec, status = instance.spec, instance.status
        assert spec.script is not None
        return RunScript(
            node_id=status.node_id,
            queue=status.queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            attempt=status.attempt,
            instance_id=instance.id,
            script=spec.script,
        )

    def push(self, request: ImageRequest, queue: str, now: datetime) -> PushImage:
        """Make an image of the VM and push it, as planned when its turn came."""
        spec, status = request.spec, request.status
        return PushImage(
            node_id=status.node_id,
            queue=queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            attempt=status.attempt,
            request_id=request.id,
            instance_id=spec.instance_id,
            registry=spec.registry,
            repository=status.repository,
            tag=spec.tag,
            template_name=status.template_name,
            template_id=spec.target_template_id,
            description=spec.description,
            suspend=spec.suspend,
            script=spec.script,
            suspend_sanity_test=spec.suspend_sanity_test,
            cancel_on_script_failure=spec.cancel_on_script_failure,
            revert_number=status.revert_number,
            valid_until=status.deadline,
        )

    def configure(self, node: Node, now: datetime) -> ConfigureAgent:
        """Tell a node how to behave. Both wishes only grow, so the version does."""
        return ConfigureAgent(
            node_id=node.id,
            queue=node.queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            version=node.generation + self.configuration.generation,
            heartbeat=node.heartbeat or self._limits.heartbeat,
            central_logging=self.configuration.central_logging
            and not node.spec.disable_central_logging,
            registry=self.configuration.registry_address,
        )

    def upgrade(self, node: Node, now: datetime) -> UpgradeAgent:
        """Have the node's agent become the wished version."""
        return UpgradeAgent(
            node_id=node.id,
            queue=node.queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            version=node.spec.upgrade_to,
        )

    def rejoin(self, node_id: str, queue: str, now: datetime) -> ConfigureAgent:
        """Ask an agent that the cloud does not know to say hello."""
        return ConfigureAgent(
            node_id=node_id,
            queue=queue,
            deadline=self._deadline(now),
            epoch=self._epoch,
            heartbeat=self._limits.heartbeat,
            rejoin=True,
        )

    def _deadline(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._limits.order)

    def _valid_until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._limits.validity)


def _with_address(overrides: Overrides, mac_address: str) -> Overrides:
    if not mac_address:
        return overrides
    return msgspec.structs.replace(overrides, mac_address=mac_address)
