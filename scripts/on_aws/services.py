"""Stopping what writes to the database, for a restore, and starting it again as it was."""

from typing import Any

from scripts.errors import CannotStart
from scripts.on_aws.installation import Installation, in_a_sentence

_SCALED = ("api", "worker")
_WRITING = (*_SCALED, "beat")
_AGAIN = {"Delay": 10, "MaxAttempts": 60}


class Services:
    """The services of an installation that work on the database."""

    def __init__(self, installation: Installation) -> None:
        self._cluster = installation.cluster
        self._ecs = installation.client("ecs")
        self._scaling = installation.client("application-autoscaling")

    def stop(self) -> None:
        """End all of them, autoscaling first, and wait until they are gone."""
        with in_a_sentence("The services could not be stopped"):
            self._suspend(self._targets(), True)
            self._want(dict.fromkeys(_WRITING, 0))

    def start(self) -> None:
        """Start each with its least number of tasks, and wait until they run."""
        with in_a_sentence("The services could not be started"):
            targets = self._targets()
            self._want({service: targets[service]["MinCapacity"] for service in _SCALED} | {"beat": 1})
            self._suspend(targets, False)

    def _want(self, tasks: dict[str, int]) -> None:
        for service, count in tasks.items():
            self._ecs.update_service(cluster=self._cluster, service=service, desiredCount=count)
        self._ecs.get_waiter("services_stable").wait(cluster=self._cluster, services=list(tasks), WaiterConfig=_AGAIN)

    def _suspend(self, targets: dict[str, dict[str, Any]], suspended: bool) -> None:
        state = dict.fromkeys(
            ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), suspended
        )
        for service in _SCALED:
            self._scaling.register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId=targets[service]["ResourceId"],
                ScalableDimension="ecs:service:DesiredCount",
                SuspendedState=state,
            )

    def _targets(self) -> dict[str, dict[str, Any]]:
        ids = {f"service/{self._cluster}/{service}": service for service in _SCALED}
        found = self._scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=list(ids))
        targets = {ids[target["ResourceId"]]: target for target in found["ScalableTargets"]}
        if set(targets) != set(_SCALED):
            raise CannotStart(f"{self._cluster} has no autoscaling of api and worker: apply everything first.")
        return targets
