"""Stopping what writes to the database, for a restore, and starting it again."""

from typing import Any

from scripts.errors import CannotStart
from scripts.operations.aws.errors import aws_errors_as_one_message
from scripts.operations.aws.installation import Installation

_SCALED = ("api", "worker")
_SINGLE = ("background", "beat")
_WRITING = (*_SCALED, *_SINGLE)
STOPPED_POLLING = {"Delay": 10, "MaxAttempts": 60}
_AT_ONCE = 100  # so many tasks may be asked about in one request


class Services:
    """The services of an installation that work on the database."""

    def __init__(self, installation: Installation) -> None:
        self._cluster = installation.cluster
        self._ecs = installation.client("ecs")
        self._scaling = installation.client("application-autoscaling")

    def stop(self) -> None:
        """End all of them, autoscaling first, and wait until the last task has ended."""
        with aws_errors_as_one_message("The services could not be stopped"):
            self._suspend(self._targets(), True)
            self._want(dict.fromkeys(_WRITING, 0))
            self._wait_for_services()
            # A service is stable already when its tasks were asked to end.
            for service in _WRITING:
                self._wait_for_tasks(service)

    def start(self) -> None:
        """Start each with its least number of tasks, and autoscaling; wait until they run."""
        with aws_errors_as_one_message("The services could not be started"):
            targets = self._targets()
            self._want({service: targets[service]["MinCapacity"] for service in _SCALED} | dict.fromkeys(_SINGLE, 1))
            self._suspend(targets, False)
            self._wait_for_services()

    def _want(self, tasks: dict[str, int]) -> None:
        for service, count in tasks.items():
            self._ecs.update_service(cluster=self._cluster, service=service, desiredCount=count)

    def _wait_for_services(self) -> None:
        waiter = self._ecs.get_waiter("services_stable")
        waiter.wait(cluster=self._cluster, services=list(_WRITING), WaiterConfig=STOPPED_POLLING)

    def _wait_for_tasks(self, service: str) -> None:
        listed = self._ecs.list_tasks(cluster=self._cluster, serviceName=service, desiredStatus="STOPPED")["taskArns"]
        if listed:
            waiter = self._ecs.get_waiter("tasks_stopped")
            waiter.wait(cluster=self._cluster, tasks=listed[:_AT_ONCE], WaiterConfig=STOPPED_POLLING)

    def _suspend(self, targets: dict[str, dict[str, Any]], suspended: bool) -> None:
        ways = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
        for service in _SCALED:
            self._scaling.register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId=targets[service]["ResourceId"],
                ScalableDimension="ecs:service:DesiredCount",
                SuspendedState=dict.fromkeys(ways, suspended),
            )

    def _targets(self) -> dict[str, dict[str, Any]]:
        ids = {f"service/{self._cluster}/{service}": service for service in _SCALED}
        found = self._scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=list(ids))
        targets = {ids[target["ResourceId"]]: target for target in found["ScalableTargets"]}
        if set(targets) != set(_SCALED):
            raise CannotStart(f"{self._cluster} has no autoscaling of api and worker: apply everything first.")
        return targets
