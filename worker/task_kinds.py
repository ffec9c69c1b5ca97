"""Every kind of background task."""

from worker.runner import Kind, Runner
from worker.tasks import closing, erasure, quarantine, rebuilding, reevaluation

RUNNER = Runner(
    [
        Kind("close", closing.close),
        Kind("reevaluate", reevaluation.reevaluate),
        Kind("rebuild", rebuilding.rebuild),
        Kind(rebuilding.SUBTASK, rebuilding.judge_customers),
        Kind(rebuilding.FORMER_SUBTASK, rebuilding.judge_customers),
        Kind("retry_quarantine", quarantine.retry_quarantined),
        Kind("erase", erasure.erase),
    ]
)
