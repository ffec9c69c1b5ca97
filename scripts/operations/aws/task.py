"""A one-off task: started, followed by its log, and judged by its status."""

import time
from typing import Any

from scripts.errors import CannotStart
from scripts.operations.aws.errors import aws_errors_as_one_message
from scripts.operations.aws.installation import Installation
from scripts.operations.progress import Progress

POLL_INTERVAL_S = 3.0
VISIBLE_WITHIN_S = 60.0  # AWS may take some seconds to know a task that it has just started
LOG_DELAY_S = 6.0  # what a task wrote last arrives some seconds after its end


class Task:
    """A running task of an installation."""

    def __init__(self, installation: Installation, role: str, arn: str) -> None:
        self.name = arn.rpartition("/")[2]
        self.log = f"/{installation.cluster}/{role}"
        self._role, self._arn, self._cluster = role, arn, installation.cluster
        self._ecs, self._logs = installation.client("ecs"), installation.client("logs")
        self._stream = {
            "logGroupName": self.log,
            "logStreamName": f"{role}/{role}/{self.name}",
            "startFromHead": True,
        }

    @property
    def goes_on(self) -> str:
        """What becomes of it when nobody follows it any more."""
        return f"the task {self.name} goes on, and its log is {self.log}"

    def follow(self, progress: Progress) -> None:
        """Show each line of its log until it has ended; raises CannotStart if it did not end well."""
        began = time.monotonic()
        while (task := self._asked()) is None or task["lastStatus"] != "STOPPED":
            if task is None and time.monotonic() - began > VISIBLE_WITHIN_S:
                raise CannotStart(f"AWS does not know the task {self.name}, which it said it started.")
            self._show_new_lines(progress)
            time.sleep(POLL_INTERVAL_S)
        time.sleep(LOG_DELAY_S)
        self._show_new_lines(progress)
        self._judge(task)

    def _asked(self) -> dict[str, Any] | None:
        with aws_errors_as_one_message(f"AWS cannot be asked; {self.goes_on}"):
            tasks = self._ecs.describe_tasks(cluster=self._cluster, tasks=[self._arn])["tasks"]
        return tasks[0] if tasks else None

    def _show_new_lines(self, progress: Progress) -> None:
        with aws_errors_as_one_message(f"The log cannot be read; {self.goes_on}"):
            while True:
                try:
                    page = self._logs.get_log_events(**self._stream)
                except self._logs.exceptions.ResourceNotFoundException:
                    return  # nothing is written yet
                for event in page["events"]:
                    progress(event["message"])
                if page["nextForwardToken"] == self._stream.get("nextToken"):
                    return
                self._stream["nextToken"] = page["nextForwardToken"]

    def _judge(self, task: dict[str, Any]) -> None:
        # AWS may have put containers of its own beside ours.
        container = next(each for each in task["containers"] if each["name"] == self._role)
        if container.get("exitCode") != 0:
            status = f"with status {container['exitCode']}" if "exitCode" in container else "before it began"
            reason = container.get("reason") or task.get("stoppedReason", "no reason is given")
            raise CannotStart(f"The task ended {status}: {reason.rstrip('.')}.")


def start(installation: Installation, role: str, words: list[str]) -> Task:
    """Start the task of a role with other words than its own; raises CannotStart if AWS does not."""
    request = installation[f"{role}_run"]
    overrides = {"containerOverrides": [{"name": role, "command": words}]}
    with aws_errors_as_one_message("AWS did not start the task"):
        answer = installation.client("ecs").run_task(**request, overrides=overrides)
    if not answer["tasks"]:
        reasons = ", ".join(failure.get("reason", "no reason") for failure in answer["failures"])
        raise CannotStart(f"AWS did not start the task: {reasons}.")
    return Task(installation, role, answer["tasks"][0]["taskArn"])
