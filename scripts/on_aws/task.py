"""A one-off task: started, followed by its log, and judged by its status."""

import time
from collections.abc import Callable
from typing import Any

from scripts.errors import CannotStart
from scripts.on_aws.installation import Installation, in_a_sentence

_ASK_AGAIN_S = 3.0
_LOG_COMES_S = 6.0  # what a task wrote last arrives some seconds after its end


class Task:
    """A running task of an installation."""

    def __init__(self, installation: Installation, role: str, arn: str) -> None:
        self.name = arn.rpartition("/")[2]
        self.log = f"/{installation.cluster}/{role}"
        self._arn, self._cluster = arn, installation.cluster
        self._ecs, self._logs = installation.client("ecs"), installation.client("logs")
        self._stream = {
            "logGroupName": self.log,
            "logStreamName": f"{role}/{role}/{self.name}",
            "startFromHead": True,
        }

    def follow(self, tell: Callable[[str], None]) -> None:
        """Tell each line of its log until it has ended; raises CannotStart if it did not end well."""
        while not (stopped := self._stopped()):
            self._tell_news(tell)
            time.sleep(_ASK_AGAIN_S)
        time.sleep(_LOG_COMES_S)
        self._tell_news(tell)
        (container,) = stopped["containers"]
        if container.get("exitCode") != 0:
            status = f"with status {container['exitCode']}" if "exitCode" in container else "before it began"
            reason = container.get("reason") or stopped.get("stoppedReason", "no reason is given")
            raise CannotStart(f"The task ended {status}: {reason.rstrip('.')}.")

    def _stopped(self) -> dict[str, Any] | None:
        with in_a_sentence(f"AWS does not tell how the task {self.name} does"):
            (task,) = self._ecs.describe_tasks(cluster=self._cluster, tasks=[self._arn])["tasks"]
        return task if task["lastStatus"] == "STOPPED" else None

    def _tell_news(self, tell: Callable[[str], None]) -> None:
        with in_a_sentence("The log cannot be read"):
            while True:
                try:
                    page = self._logs.get_log_events(**self._stream)
                except self._logs.exceptions.ResourceNotFoundException:
                    return  # nothing is written yet
                for event in page["events"]:
                    tell(event["message"])
                if page["nextForwardToken"] == self._stream.get("nextToken"):
                    return
                self._stream["nextToken"] = page["nextForwardToken"]


def start(installation: Installation, role: str, words: list[str]) -> Task:
    """Start the task of a role with other words than its own; raises CannotStart if AWS does not."""
    overrides = {"containerOverrides": [{"name": role, "command": words}]}
    with in_a_sentence("AWS did not start the task"):
        answer = installation.client("ecs").run_task(**installation.requests[role], overrides=overrides)
    if not answer["tasks"]:
        reasons = ", ".join(failure.get("reason", "no reason") for failure in answer["failures"])
        raise CannotStart(f"AWS did not start the task: {reasons}.")
    return Task(installation, role, answer["tasks"][0]["taskArn"])
