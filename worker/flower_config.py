"""What Flower runs for its configuration: its log is written as ours is, not as Tornado would."""

from db.core.settings import Settings
from db.telemetry.logs import configure_logging

configure_logging(Settings().log_level)
logging = "none"
